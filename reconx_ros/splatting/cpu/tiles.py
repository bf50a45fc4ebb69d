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
"""How many Gaussians ahead the records are fetched from memory."""


@njit(**INLINED)
def _tile_rows(records, at, tiles_y):
    """Return the first and the last row of tiles of the pixel rows that a Gaussian reaches."""
    y, half = item(records, at + s.Y), item(records, at + s.HALF_Y)
    first = int(maximum(up(y - half), ZERO)) // s.TILE_HEIGHT
    last = int(minimum(down(y + half), np.float32(tiles_y * s.TILE_HEIGHT - 1))) // s.TILE_HEIGHT
    return first, last


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


@kernel(parallel=True)
def count_tiles(records, order, visible_count, tiles_x, tiles_y, per_chunk, first_slot, slots):
    """Count the tiles of each Gaussian and, by chunk of the depth order, the Gaussians of each tile.

    Args:
        records: see ``splats``.
        order: Gaussians front to back.
        visible_count: how many of ``order`` count.
        tiles_x: tiles across the image.
        tiles_y: tiles down the image.
        per_chunk: [chunks, tiles + 1] int32, receives counts; the last is the sum of the row.
        first_slot: [N] int32, receives the first slot of each Gaussian, relative to its chunk.
        slots: [N] int32, receives how many it has; 0 where out of sight.
    """
    chunks = len(per_chunk)
    tiles = tiles_x * tiles_y
    slots[:] = 0
    first_slot[:] = 0
    for chunk in prange(chunks):
        counts = per_chunk[chunk]
        counts[:] = 0
        used = 0
        for n in range(visible_count * chunk // chunks, visible_count * (chunk + 1) // chunks):
            i = order[n]
            prefetch(records, s.SIZE * order[min(n + AHEAD, visible_count - 1)])
            first_slot[i] = used
            top, bottom = _tile_rows(records, s.SIZE * i, tiles_y)
            for row in range(top, bottom + 1):
                left, right = _tile_columns(records, s.SIZE * i, row, tiles_x)
                for column in range(left, right + 1):
                    counts[row * tiles_x + column] += 1
                    used += 1
            slots[i] = used - first_slot[i]
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
    records,
    order,
    visible_count,
    tiles_x,
    tiles_y,
    per_chunk,
    chunk_start,
    first_slot,
    list_gaussian,
    list_slot,
):
    """Write the list of each tile, front to back: Gaussian and gradient slot of each entry.

    ``first_slot`` becomes absolute: the slots of a Gaussian are consecutive.
    """
    chunks = len(per_chunk)
    for chunk in prange(chunks):
        at = per_chunk[chunk]
        slot = chunk_start[chunk]
        for n in range(visible_count * chunk // chunks, visible_count * (chunk + 1) // chunks):
            i = order[n]
            prefetch(records, s.SIZE * order[min(n + AHEAD, visible_count - 1)])
            first_slot[i] = slot
            top, bottom = _tile_rows(records, s.SIZE * i, tiles_y)
            for row in range(top, bottom + 1):
                left, right = _tile_columns(records, s.SIZE * i, row, tiles_x)
                for column in range(left, right + 1):
                    tile = row * tiles_x + column
                    list_gaussian[at[tile]] = i
                    list_slot[at[tile]] = slot
                    at[tile] += 1
                    slot += 1
