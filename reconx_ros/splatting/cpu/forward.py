"""Compositing front to back, a tile at a time, the sixteen pixels of a cell at once."""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.alphas import (
    ALPHA_MAX,
    ALPHAS,
    SCRATCH,
    TRANSMITTANCE_MIN,
    unclipped_alpha,
    write_alphas,
)
from reconx_ros.splatting.cpu.cells import CELLS, LANES, ZERO, open_cells, place, reached_cells, u_and_v
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.lanes import WIDE
from reconx_ros.splatting.cpu.memory import fetch_add, item, load16, prefetch, store
from reconx_ros.splatting.cpu.simd import (
    absolute,
    first_bit,
    fma,
    minimum,
    select,
    spread16,
    without_first_bit,
)
from reconx_ros.splatting.cpu.tile_image import PLANES_CELL as CELL
from reconx_ros.splatting.cpu.tile_image import clear, finish

TILE = CELLS * CELL
"""Floats of a whole tile."""

AHEAD = 6
"""How many Gaussians ahead the records are fetched from memory."""

CHECK_EVERY = 32
"""Gaussians between two looks at which cells are finished."""


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
def _draw_at_once(records, r, x, y, cells, planes, scratch):
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
def _draw_in_passes(records, r, x, y, cells, planes, scratch):
    """Do the same where a cell is two registers: the alphas of all cells first."""
    write_alphas(records, r, x, y, cells, scratch)
    red, green = spread16(item(records, r + s.RED)), spread16(item(records, r + s.GREEN))
    blue, depth = spread16(item(records, r + s.BLUE)), spread16(item(records, r + s.DEPTH))
    at = ALPHAS
    while cells != 0:
        alpha = minimum(load16(scratch, at), ALPHA_MAX)
        _blend(planes, CELL * first_bit(cells), alpha, red, green, blue, depth)
        cells = without_first_bit(cells)
        at += LANES


_draw = _draw_at_once if WIDE else _draw_in_passes


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
        scratch = np.zeros(SCRATCH, np.float32)
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
            left_x, top_y = np.float32(left), np.float32(top)
            clear(mine)
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
            finish(mine, left, top, width, height, background, (color, depth, alpha))
            tile = fetch_add(ticket, 0, 1)
