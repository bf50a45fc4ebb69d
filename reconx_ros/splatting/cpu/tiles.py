"""Which Gaussians are in which tile, front to back.

One stable counting sort of the depth order into tiles: chunks of the order are counted and dealt out
by different threads, and the chunks of a tile follow each other.
"""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.memory import item, prefetch
from reconx_ros.splatting.cpu.simd import down, maximum, minimum, square_root, up

ZERO = np.float32(0)
AHEAD = 12
"""How many Gaussians ahead the boxes are fetched from memory."""

SMALL = 2
"""Tiles: boxes up to this wide and high are taken whole; of larger ones, what the ellipse touches."""


@njit(**INLINED)
def _edge(records, at, side, low, high):
    """Return how far the ellipse reaches to a side (±1) between two y relative to its mean."""
    y = minimum(maximum(side * item(records, at + s.TILT), low), high)
    v = y * item(records, at + s.SHARP_Y)
    half = square_root(maximum(item(records, at + s.REACH) - v * v, ZERO)) * item(records, at + s.SPREAD_X)
    return item(records, at + s.X) + item(records, at + s.SLOPE) * y + side * half


@njit(**INLINED)
def _tile_columns(records, at, tile_row, tiles_x):
    """Return the first and the last tile of a row of tiles that the ellipse touches."""
    y, half = item(records, at + s.Y), item(records, at + s.HALF_Y)
    low = maximum(np.float32(tile_row * s.TILE_HEIGHT) - y, -half)
    high = minimum(np.float32((tile_row + 1) * s.TILE_HEIGHT - 1) - y, half)
    left = up(_edge(records, at, np.float32(-1), low, high))
    right = down(_edge(records, at, np.float32(1), low, high))
    first = int(maximum(left, ZERO)) // s.TILE_WIDTH
    last = int(minimum(right, np.float32(tiles_x * s.TILE_WIDTH - 1)))
    return first, last // s.TILE_WIDTH if last >= 0 else -1


@njit(**INLINED)
def _first_and_last(packed):
    return packed & 0xFFFF, packed >> 16


@njit(**INLINED)
def _columns_in(records, i, row, columns, is_small, tiles_x):
    """Return the first and the last tile that Gaussian i has in a row of tiles."""
    if is_small:
        return _first_and_last(item(columns, i))
    return _tile_columns(records, s.SIZE * i, row, tiles_x)


@njit(**INLINED)
def _is_small(columns, top, bottom):
    left, right = _first_and_last(columns)
    return right - left < SMALL and bottom - top < SMALL


@kernel(parallel=True)
def count_tiles(records, columns, rows, order, tiles_x, per_chunk, first_slot, slots):
    """Count the tiles of each Gaussian and, by chunk of the depth order, the Gaussians of each tile.

    Args:
        records: see ``splats``.
        columns: [N] int32, first and last (16 bits further) column of tiles of the box.
        rows: [N] int32, likewise its rows.
        order: the visible Gaussians front to back.
        tiles_x: tiles across the image.
        per_chunk: [chunks, tiles + 1] int32, receives counts; the last is the sum of the row.
        first_slot: [N] int32, receives the first slot of each visible Gaussian, relative to its chunk.
        slots: [N] int32, receives how many it has; 0 where out of sight.
    """
    chunks, tiles = len(per_chunk), per_chunk.shape[1] - 1
    count = len(order)
    slots[:] = 0
    for chunk in prange(chunks):
        counts = per_chunk[chunk]
        counts[:] = 0
        used = 0
        for n in range(count * chunk // chunks, count * (chunk + 1) // chunks):
            i, ahead = item(order, n), item(order, min(n + AHEAD, count - 1))
            prefetch(columns, ahead)
            prefetch(rows, ahead)
            start = used
            top, bottom = _first_and_last(item(rows, i))
            is_small = _is_small(item(columns, i), top, bottom)
            for row in range(top, bottom + 1):
                left, right = _columns_in(records, i, row, columns, is_small, tiles_x)
                for column in range(left, right + 1):
                    counts[row * tiles_x + column] += 1
                    used += 1
            first_slot[i], slots[i] = start, used - start
        counts[tiles] = used


@kernel()
def place_tiles(per_chunk, tile_start, chunk_start):
    """Turn counts into positions; return the length of all lists.

    Args:
        per_chunk: [chunks, tiles + 1] counts, replaced by the position of the chunk's first entry in
            the list of each tile.
        tile_start: [tiles + 1] receives where the list of each tile starts.
        chunk_start: [chunks] receives the first slot of each chunk.
    """
    chunks, tiles = per_chunk.shape[0], per_chunk.shape[1] - 1
    total = 0
    for tile in range(tiles):
        tile_start[tile] = total
        for chunk in range(chunks):
            total, per_chunk[chunk, tile] = total + per_chunk[chunk, tile], total
    tile_start[tiles] = total
    slot = 0
    for chunk in range(chunks):
        chunk_start[chunk] = slot
        slot += per_chunk[chunk, tiles]
    return total


@kernel(parallel=True)
def fill_tiles(
    records, columns, rows, order, tiles_x, per_chunk, chunk_start, first_slot, list_gaussian, list_slot
):
    """Write the list of each tile, front to back: Gaussian and gradient slot of each entry.

    ``first_slot`` becomes absolute: the slots of a Gaussian are consecutive.
    """
    chunks, count = len(per_chunk), len(order)
    for chunk in prange(chunks):
        at = per_chunk[chunk]
        slot = chunk_start[chunk]
        for n in range(count * chunk // chunks, count * (chunk + 1) // chunks):
            i, ahead = item(order, n), item(order, min(n + AHEAD, count - 1))
            prefetch(columns, ahead)
            prefetch(rows, ahead)
            first_slot[i] = slot
            top, bottom = _first_and_last(item(rows, i))
            is_small = _is_small(item(columns, i), top, bottom)
            for row in range(top, bottom + 1):
                left, right = _columns_in(records, i, row, columns, is_small, tiles_x)
                for tile in range(row * tiles_x + left, row * tiles_x + right + 1):
                    to = item(at, tile)
                    list_gaussian[to], list_slot[to] = i, slot
                    at[tile] = to + 1
                    slot += 1
