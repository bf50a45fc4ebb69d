"""Compositing front to back, a tile at a time, eight pixels of a row at once."""

import math

import numpy as np
from numba import njit, prange

from reconx_ros.splatting import model
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.functions import INLINED, ONE, PARALLEL, exp2
from reconx_ros.splatting.cpu.simd import (
    absolute,
    any_set,
    fetch_add,
    fma,
    load,
    minimum,
    ramp,
    select,
    spread,
    store,
)

ALPHA_MAX = np.float32(model.ALPHA_MAX)
TRANSMITTANCE_MIN = np.float32(model.TRANSMITTANCE_MIN)
ZERO = np.float32(0)
PLANES = 5
"""Planes of a tile: transmittance (negative once the pixel is finished), red, green, blue, depth."""

CHECK_EVERY = 32
"""Gaussians between two looks at whether the whole tile is finished."""


@njit(**INLINED)
def rows_of_tile(y, half_y):
    """Return the first and the last row of a tile that a Gaussian reaches, y from the tile's top."""
    first = int(max(math.ceil(y - half_y), ZERO))
    last = int(min(math.floor(y + half_y), np.float32(s.TILE_HEIGHT - 1)))
    return first, last


@njit(**INLINED)
def segments_of_row(centre, half):
    """Return where the pixels centre ± half of a tile's row start and how many groups of eight they need."""
    first = int(max(math.ceil(centre - half), ZERO))
    last = int(min(math.floor(centre + half), np.float32(s.TILE_WIDTH - 1)))
    segments = (last - first + 8) >> 3
    return min(first, s.TILE_WIDTH - 8 * segments), segments


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
    store(planes, at + s.TILE_PIXELS, fma(weight, red, load(planes, at + s.TILE_PIXELS)))
    store(planes, at + 2 * s.TILE_PIXELS, fma(weight, green, load(planes, at + 2 * s.TILE_PIXELS)))
    store(planes, at + 3 * s.TILE_PIXELS, fma(weight, blue, load(planes, at + 3 * s.TILE_PIXELS)))
    store(planes, at + 4 * s.TILE_PIXELS, fma(weight, depth, load(planes, at + 4 * s.TILE_PIXELS)))


@njit(**INLINED)
def _draw(records, r, left, top, planes, base):
    """Draw the Gaussian with its record at r into the tile at (left, top)."""
    x, y, slope = records[r + s.X] - left, records[r + s.Y] - top, records[r + s.SLOPE]
    sharp_x, sharp_y, peak = records[r + s.SHARP_X], records[r + s.SHARP_Y], records[r + s.PEAK]
    reach, spread_x = records[r + s.REACH], records[r + s.SPREAD_X]
    red, green, blue = spread(records[r + s.RED]), spread(records[r + s.GREEN]), spread(records[r + s.BLUE])
    depth = spread(records[r + s.DEPTH])
    lanes = ramp() * sharp_x
    first, last = rows_of_tile(y, records[r + s.HALF_Y])
    for row in range(first, last + 1):
        dy = np.float32(row) - y
        v = dy * sharp_y
        centre = x + slope * dy
        half = math.sqrt(max(reach - v * v, ZERO)) * spread_x
        start, segments = segments_of_row(centre, half)
        for k in range(segments):
            column = start + 8 * k
            u = lanes + sharp_x * (np.float32(column) - centre)
            alpha = minimum(unclipped_alpha(u, spread(peak - v * v)), ALPHA_MAX)
            _blend(planes, base + row * s.TILE_WIDTH + column, alpha, red, green, blue, depth)


@njit(**INLINED)
def unfinished(planes, base):
    """Return whether any pixel of a tile can still take a Gaussian."""
    best = load(planes, base) > ZERO
    for at in range(base + 8, base + s.TILE_PIXELS, 8):
        if any_set(best):
            return True
        best = load(planes, at) > ZERO
    return any_set(best)


@njit(**INLINED)
def _finish(planes, base, left, top, background, color, depth, alpha):
    """Copy a tile to the image, over the background."""
    height, width = alpha.shape
    for y in range(top, min(top + s.TILE_HEIGHT, height)):
        at = base + (y - top) * s.TILE_WIDTH
        for x in range(left, min(left + s.TILE_WIDTH, width)):
            rest = abs(planes[at])
            for channel in range(3):
                value = planes[at + (channel + 1) * s.TILE_PIXELS]
                color[y, x, channel] = value + rest * background[channel]
            depth[y, x] = planes[at + 4 * s.TILE_PIXELS]
            alpha[y, x] = ONE - rest
            at += 1


@njit(**PARALLEL)
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
        planes: flat float32, ``PLANES`` planes a tile, kept for the backward pass.
        drawn: [tiles] int32, receives how many Gaussians each tile drew before all its pixels finished.
        color, depth, alpha: [H, W, 3], [H, W], [H, W] float32, the image.
        ticket: [1] int64, the next tile.
    """
    tiles = len(tile_start) - 1
    ticket[0] = 0
    for _ in prange(threads):
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            base = tile * PLANES * s.TILE_PIXELS
            planes[base : base + s.TILE_PIXELS] = ONE
            planes[base + s.TILE_PIXELS : base + PLANES * s.TILE_PIXELS] = ZERO
            left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
            done, count = 0, tile_start[tile + 1] - tile_start[tile]
            while done < count and (done == 0 or unfinished(planes, base)):
                batch = min(CHECK_EVERY, count - done)
                for n in range(tile_start[tile] + done, tile_start[tile] + done + batch):
                    r = s.SIZE * list_gaussian[n]
                    _draw(records, r, np.float32(left), np.float32(top), planes, base)
                done += batch
            drawn[tile] = done
            _finish(planes, base, left, top, background, color, depth, alpha)
            tile = fetch_add(ticket, 0, 1)
