"""Compositing front to back, a tile at a time, the sixteen pixels of a cell at once."""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting import model
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.cell_memory import store_cell, store_color_cell
from reconx_ros.splatting.cpu.cells import (
    CELLS,
    LANES,
    ROOM,
    SIDE,
    ZERO,
    fill,
    open_cells,
    place,
    reached_cells,
    u_and_v,
)
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.functions import ONE, exp2_unclamped
from reconx_ros.splatting.cpu.memory import fetch_add, item, load16, prefetch, store
from reconx_ros.splatting.cpu.simd import (
    absolute,
    first_bit,
    fma,
    maximum,
    minimum,
    select,
    spread16,
    without_first_bit,
)

ALPHA_MAX = np.float32(model.ALPHA_MAX)
TRANSMITTANCE_MIN = np.float32(model.TRANSMITTANCE_MIN)
PLANES = 5
"""Numbers a pixel: transmittance (negative once the pixel is finished), red, green, blue, depth."""

CELL = PLANES * LANES
TILE = CELLS * CELL
"""Floats of a cell and of a whole tile."""

AHEAD = 6
"""How many Gaussians ahead the records are fetched from memory."""

CHECK_EVERY = 32
"""Gaussians between two looks at which cells are finished."""


@njit(**INLINED)
def unclipped_alpha(u, v, peak):
    """Return 2^(peak - u² - v²), zero where that is below 1/255."""
    exponent = fma(-u, u, fma(-v, v, peak))
    return select(exponent >= s.LOWEST, exp2_unclamped(maximum(exponent, s.LOWEST)), ZERO)


@njit(**INLINED)
def _blend(planes, at, alpha, red, green, blue, depth):
    """Blend one Gaussian over a cell (Kerbl et al. 2023, eq. 3)."""
    before = load16(planes, at)
    after = fma(-before, alpha, before)
    open_ = after > TRANSMITTANCE_MIN
    weight = select(open_, before * alpha, ZERO)
    store(planes, at, select(open_, after, -absolute(before)))
    store(planes, at + LANES, fma(weight, red, load16(planes, at + LANES)))
    store(planes, at + 2 * LANES, fma(weight, green, load16(planes, at + 2 * LANES)))
    store(planes, at + 3 * LANES, fma(weight, blue, load16(planes, at + 3 * LANES)))
    store(planes, at + 4 * LANES, fma(weight, depth, load16(planes, at + 4 * LANES)))


@njit(**INLINED)
def _draw(records, r, x, y, cells, planes, scratch):
    """Draw the Gaussian with its record at r and its mean at (x, y) of the tile into ``cells``."""
    red, green = spread16(item(records, r + s.RED)), spread16(item(records, r + s.GREEN))
    blue, depth = spread16(item(records, r + s.BLUE)), spread16(item(records, r + s.DEPTH))
    peak = spread16(item(records, r + s.PEAK))
    u_0, v_0 = place(records, r, x, y, scratch)
    while cells != 0:
        cell = first_bit(cells)
        cells = without_first_bit(cells)
        u, v = u_and_v(u_0, v_0, cell, scratch)
        alpha = minimum(unclipped_alpha(u, v, peak), ALPHA_MAX)
        _blend(planes, CELL * cell, alpha, red, green, blue, depth)


@njit(**INLINED)
def _clear(planes):
    for at in range(0, TILE, CELL):
        fill(planes, at, ONE)
        for plane in range(1, PLANES):
            fill(planes, at + plane * LANES, ZERO)


@njit(**INLINED)
def _finish_cell(planes, at, pixel, width, background, image):
    """Copy a cell to the image, over the background; ``pixel`` is its first."""
    color, depth, alpha = image
    rest = absolute(load16(planes, at))
    red = fma(rest, background[0], load16(planes, at + LANES))
    green = fma(rest, background[1], load16(planes, at + 2 * LANES))
    blue = fma(rest, background[2], load16(planes, at + 3 * LANES))
    store_color_cell(color, 3 * pixel, 3 * width, red, green, blue)
    store_cell(depth, pixel, width, load16(planes, at + 4 * LANES))
    store_cell(alpha, pixel, width, ONE - rest)


@njit(**INLINED)
def _finish_part(planes, at, pixel, across, down, width, background, image):
    """Copy the pixels of a cell that are in the image: ``across`` x ``down``."""
    color, depth, alpha = image
    for y in range(down):
        for x in range(across):
            of, to = at + SIDE * y + x, pixel + width * y + x
            rest = abs(item(planes, of))
            for channel in range(3):
                color[3 * to + channel] = (
                    item(planes, of + (1 + channel) * LANES) + rest * background[channel]
                )
            depth[to] = item(planes, of + 4 * LANES)
            alpha[to] = ONE - rest


@njit(**INLINED)
def _finish(planes, left, top, width, height, background, image):
    """Copy a tile to the image."""
    for cell in range(CELLS):
        x, y = left + SIDE * (cell >> 3), top + SIDE * (cell & 7)
        across, down = min(SIDE, width - x), min(SIDE, height - y)
        pixel = y * width + x
        if across == SIDE and down == SIDE:
            _finish_cell(planes, CELL * cell, pixel, width, background, image)
        else:
            _finish_part(planes, CELL * cell, pixel, across, down, width, background, image)


@kernel(parallel=True)
def composite(
    records,
    tile_start,
    list_gaussian,
    tiles_x,
    background,
    planes,
    list_cells,
    width,
    height,
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
        background: [3] float32.
        planes: [threads, TILE] float32 scratch.
        list_cells: int64, receives the cells each entry was drawn in (see ``cells``).
        width: of the image.
        height: of the image.
        color: [3 H W] float32, receives the image.
        depth: [H W] float32, receives Σ w z.
        alpha: [H W] float32, receives Σ w.
        ticket: [1] int64, the next tile.
    """
    tiles = len(tile_start) - 1
    ticket[0] = 0
    for worker in prange(len(planes)):
        mine = planes[worker]
        scratch = np.zeros(ROOM, np.float32)
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
            left_x, top_y = np.float32(left), np.float32(top)
            _clear(mine)
            start, end = tile_start[tile], tile_start[tile + 1]
            open_ = -1
            for first in range(start, end, CHECK_EVERY):
                last = min(first + CHECK_EVERY, end)
                if first > start and open_ != 0:
                    open_ = open_cells(mine, CELL)
                if open_ == 0:
                    list_cells[first:last] = 0
                    continue
                for n in range(first, last):
                    prefetch(records, s.SIZE * item(list_gaussian, min(n + AHEAD, end - 1)))
                    r = s.SIZE * item(list_gaussian, n)
                    x, y = item(records, r + s.X) - left_x, item(records, r + s.Y) - top_y
                    list_cells[n] = reached_cells(records, r, x, y) & open_
                for n in range(first, last):
                    r = s.SIZE * item(list_gaussian, n)
                    x, y = item(records, r + s.X) - left_x, item(records, r + s.Y) - top_y
                    _draw(records, r, x, y, item(list_cells, n), mine, scratch)
            _finish(mine, left, top, width, height, background, (color, depth, alpha))
            tile = fetch_add(ticket, 0, 1)
