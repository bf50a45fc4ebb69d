"""Compositing front to back, a tile at a time, eight pixels of a row at once."""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting import model
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.functions import ONE, exp2
from reconx_ros.splatting.cpu.memory import fetch_add, item, load, prefetch, store
from reconx_ros.splatting.cpu.rows import LEVEL, OFFSET, ROOM, SEGMENTS, START, spans
from reconx_ros.splatting.cpu.simd import absolute, any_set, fma, minimum, ramp, select, spread

ALPHA_MAX = np.float32(model.ALPHA_MAX)
TRANSMITTANCE_MIN = np.float32(model.TRANSMITTANCE_MIN)
ZERO, EIGHT = np.float32(0), np.float32(8)
WIDTH = s.TILE_WIDTH
PLANES = 5
"""Numbers a pixel: transmittance (negative once the pixel is finished), red, green, blue, depth."""

ROW = PLANES * WIDTH
TILE = s.TILE_HEIGHT * ROW
"""Floats of a row of a tile and of a whole tile."""

AHEAD = 6
"""How many Gaussians ahead the records are fetched from memory."""

CHECK_EVERY = 32
"""Gaussians between two looks at whether the whole tile is finished."""


@njit(**INLINED)
def unclipped_alpha(u, level):
    """Return 2^(level - u²), zero where that is below 1/255."""
    exponent = fma(-u, u, level)
    return select(exponent >= s.LOWEST, exp2(exponent), ZERO)


@njit(**INLINED)
def _blend(planes, at, alpha, red, green, blue, depth):
    """Blend one Gaussian over eight pixels (Kerbl et al. 2023, eq. 3)."""
    before = load(planes, at)
    after = fma(-before, alpha, before)
    open_ = after > TRANSMITTANCE_MIN
    weight = select(open_, before * alpha, ZERO)
    store(planes, at, select(open_, after, -absolute(before)))
    store(planes, at + WIDTH, fma(weight, red, load(planes, at + WIDTH)))
    store(planes, at + 2 * WIDTH, fma(weight, green, load(planes, at + 2 * WIDTH)))
    store(planes, at + 3 * WIDTH, fma(weight, blue, load(planes, at + 3 * WIDTH)))
    store(planes, at + 4 * WIDTH, fma(weight, depth, load(planes, at + 4 * WIDTH)))


@njit(**INLINED)
def _draw(records, r, left, top, planes, base, whole, real):
    """Draw the Gaussian with its record at r into the tile at (left, top)."""
    red, green = spread(item(records, r + s.RED)), spread(item(records, r + s.GREEN))
    blue, depth = spread(item(records, r + s.BLUE)), spread(item(records, r + s.DEPTH))
    sharp_x = item(records, r + s.SHARP_X)
    lanes, step = ramp() * sharp_x, spread(EIGHT * sharp_x)
    first, last = spans(records, r, left, top, whole, real)
    for row in range(first, last + 1):
        at = base + row * ROW + item(whole, START + row)
        level = spread(item(real, LEVEL + row))
        u = lanes + item(real, OFFSET + row)
        for _ in range(item(whole, SEGMENTS + row)):
            alpha = minimum(unclipped_alpha(u, level), ALPHA_MAX)
            _blend(planes, at, alpha, red, green, blue, depth)
            u = u + step
            at += 8


@njit(**INLINED)
def _unfinished(planes, base):
    """Return whether any pixel of a tile can still take a Gaussian."""
    for row in range(base, base + TILE, ROW):
        for at in range(row, row + WIDTH, 8):
            if any_set(load(planes, at) > ZERO):
                return True
    return False


@njit(**INLINED)
def _clear(planes, base):
    for row in range(base, base + TILE, ROW):
        planes[row : row + WIDTH] = ONE
        planes[row + WIDTH : row + ROW] = ZERO


@njit(**INLINED)
def _finish(planes, base, left, top, background, color, depth, alpha):
    """Copy a tile to the image, over the background."""
    height, width = alpha.shape
    for y in range(top, min(top + s.TILE_HEIGHT, height)):
        at = base + (y - top) * ROW
        for x in range(left, min(left + WIDTH, width)):
            rest = abs(item(planes, at))
            color[y, x, 0] = item(planes, at + WIDTH) + rest * background[0]
            color[y, x, 1] = item(planes, at + 2 * WIDTH) + rest * background[1]
            color[y, x, 2] = item(planes, at + 3 * WIDTH) + rest * background[2]
            depth[y, x] = item(planes, at + 4 * WIDTH)
            alpha[y, x] = ONE - rest
            at += 1


@kernel(parallel=True)
def composite(
    records,
    tile_start,
    list_gaussian,
    tiles_x,
    threads,
    background,
    planes,
    drawn,
    color,
    depth,
    alpha,
    ticket,
):
    """Draw all tiles.

    Args:
        records: see ``splats``.
        tile_start: [tiles + 1] where the list of each tile starts.
        list_gaussian: Gaussians of each tile, front to back.
        tiles_x: tiles across the image.
        threads: how many workers share the tiles.
        background: [3] float32.
        planes: [tiles * TILE] float32, kept for the backward pass.
        drawn: [tiles] int32, receives how many Gaussians each tile drew before all its pixels finished.
        color: [H, W, 3] float32, receives the image.
        depth: [H, W] float32, receives Σ w z.
        alpha: [H, W] float32, receives Σ w.
        ticket: [1] int64, the next tile.
    """
    tiles = len(tile_start) - 1
    ticket[0] = 0
    for _ in prange(threads):
        whole, real = np.zeros(2 * ROOM, np.int32), np.zeros(2 * ROOM, np.float32)
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            base = tile * TILE
            left, top = tile % tiles_x * WIDTH, tile // tiles_x * s.TILE_HEIGHT
            _clear(planes, base)
            done, start, end = 0, tile_start[tile], tile_start[tile + 1]
            while done < end - start and (done == 0 or _unfinished(planes, base)):
                for n in range(start + done, min(start + done + CHECK_EVERY, end)):
                    prefetch(records, s.SIZE * list_gaussian[min(n + AHEAD, end - 1)])
                    r = s.SIZE * list_gaussian[n]
                    _draw(records, r, np.float32(left), np.float32(top), planes, base, whole, real)
                done = min(done + CHECK_EVERY, end - start)
            drawn[tile] = done
            _finish(planes, base, left, top, background, color, depth, alpha)
            tile = fetch_add(ticket, 0, 1)
