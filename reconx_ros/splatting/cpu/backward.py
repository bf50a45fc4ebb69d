"""Backward pass of compositing: from the gradient of the image to one slot per Gaussian and tile.

Front to back again, with the decisions of the forward pass. With g the gradient of a pixel's colour
and depth, s_i = g · (c_i, z_i), and R_i what Gaussian i and all behind it give,
R_i = Σ_{j>=i} w_j s_j + T g_T (T the final transmittance, g_T its gradient),

    dL/dα_i = T_i s_i - R_{i+1} / (1 - α_i).

R starts as the whole, known from the image, and w_i s_i is taken off at each step: with the background,
g_T is the image's gradient along it less that of alpha, so R_0 = g · image - T dL/dalpha.
"""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.cell_memory import load_cell, load_color_cell
from reconx_ros.splatting.cpu.cells import CELLS, LANES, ROOM, SIDE, ZERO, place, u_and_v
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.forward import AHEAD, ALPHA_MAX, TRANSMITTANCE_MIN, unclipped_alpha
from reconx_ros.splatting.cpu.functions import ONE
from reconx_ros.splatting.cpu.memory import fetch_add, item, load16, prefetch, store
from reconx_ros.splatting.cpu.simd import (
    absolute,
    first_bit,
    fma,
    folded,
    minimum,
    select,
    spread16,
    total,
    totals,
    without_first_bit,
)

CELL = 6 * LANES
TILE = CELLS * CELL
"""Floats of a cell and of a tile: transmittance, R, and the gradients of red, green, blue and depth."""


@njit(**INLINED)
def _prepare_cell(image, by_image, pixel, width, work, at):
    """Fill the work of a cell; ``pixel`` is its first."""
    color, depth, alpha = image
    by_color, by_depth, by_alpha = by_image
    red, green, blue = load_color_cell(color, 3 * pixel, 3 * width)
    g_red, g_green, g_blue = load_color_cell(by_color, 3 * pixel, 3 * width)
    g_depth, g_alpha = load_cell(by_depth, pixel, width), load_cell(by_alpha, pixel, width)
    behind = fma(
        g_depth, load_cell(depth, pixel, width), -(g_alpha * (ONE - load_cell(alpha, pixel, width)))
    )
    store(work, at, spread16(ONE))
    store(work, at + LANES, fma(g_red, red, fma(g_green, green, fma(g_blue, blue, behind))))
    store(work, at + 2 * LANES, g_red)
    store(work, at + 3 * LANES, g_green)
    store(work, at + 4 * LANES, g_blue)
    store(work, at + 5 * LANES, g_depth)


@njit(**INLINED)
def _prepare_part(image, by_image, pixel, across, down, width, work, at):
    """Fill the work of a cell of which only ``across`` x ``down`` pixels are in the image."""
    color, depth, alpha = image
    by_color, by_depth, by_alpha = by_image
    work[at : at + CELL] = ZERO
    for y in range(down):
        for x in range(across):
            of, to = pixel + width * y + x, at + SIDE * y + x
            behind = by_depth[of] * depth[of] - by_alpha[of] * (ONE - alpha[of])
            for channel in range(3):
                gradient = by_color[3 * of + channel]
                behind += gradient * color[3 * of + channel]
                work[to + (2 + channel) * LANES] = gradient
            work[to], work[to + LANES], work[to + 5 * LANES] = ONE, behind, by_depth[of]


@njit(**INLINED)
def _prepare(image, by_image, left, top, width, height, work):
    """Fill the work of a tile; pixels outside the image get no gradient."""
    for cell in range(CELLS):
        x, y = left + SIDE * (cell >> 3), top + SIDE * (cell & 7)
        across, down = min(SIDE, width - x), min(SIDE, height - y)
        pixel = y * width + x
        if across == SIDE and down == SIDE:
            _prepare_cell(image, by_image, pixel, width, work, CELL * cell)
        else:
            _prepare_part(image, by_image, pixel, across, down, width, work, CELL * cell)


@njit(**INLINED)
def _draw(records, r, x, y, cells, work, scratch, slots, slot):
    """Walk over the pixels of one Gaussian in a tile and write its gradient slot."""
    red, green = spread16(item(records, r + s.RED)), spread16(item(records, r + s.GREEN))
    blue, depth = spread16(item(records, r + s.BLUE)), spread16(item(records, r + s.DEPTH))
    peak = spread16(item(records, r + s.PEAK))
    u_0, v_0 = place(records, r, x, y, scratch)
    zero = spread16(ZERO)
    by_red, by_green, by_blue, by_depth = zero, zero, zero, zero
    q_1, q_u, q_uu, q_uv, q_v, q_vv = zero, zero, zero, zero, zero, zero
    while cells != 0:
        cell = first_bit(cells)
        cells = without_first_bit(cells)
        at = CELL * cell
        u, v = u_and_v(u_0, v_0, cell, scratch)
        unclipped = unclipped_alpha(u, v, peak)
        alpha = minimum(unclipped, ALPHA_MAX)
        before = load16(work, at)
        after = fma(-before, alpha, before)
        open_ = after > TRANSMITTANCE_MIN
        store(work, at, select(open_, after, -absolute(before)))
        alpha = select(open_, alpha, ZERO)
        weight, rest = before * alpha, ONE / (ONE - alpha)
        g_red, g_green = load16(work, at + 2 * LANES), load16(work, at + 3 * LANES)
        g_blue, g_depth = load16(work, at + 4 * LANES), load16(work, at + 5 * LANES)
        by_red, by_green = fma(weight, g_red, by_red), fma(weight, g_green, by_green)
        by_blue, by_depth = fma(weight, g_blue, by_blue), fma(weight, g_depth, by_depth)
        value = fma(red, g_red, fma(green, g_green, fma(blue, g_blue, depth * g_depth)))
        behind = fma(-weight, value, load16(work, at + LANES))
        store(work, at + LANES, behind)
        by_alpha = fma(-behind, rest, before * value)
        q = select(unclipped <= ALPHA_MAX, alpha, ZERO) * by_alpha
        qu, qv = q * u, q * v
        q_1, q_u, q_v = q_1 + q, q_u + qu, q_v + qv
        q_uu, q_uv, q_vv = fma(qu, u, q_uu), fma(qu, v, q_uv), fma(qv, v, q_vv)
    first = totals(
        folded(by_red), folded(by_green), folded(by_blue), folded(by_depth),
        folded(q_1), folded(q_u), folded(q_uu), folded(q_uv),
    )  # fmt: skip
    store(slots, slot, first)
    slots[slot + 8] = total(folded(q_v))
    slots[slot + 9] = total(folded(q_vv))


@kernel(parallel=True)
def composite_backward(
    records, tile_start, list_gaussian, list_slot, list_cells, tiles_x, width, height, color, depth,
    alpha, by_color, by_depth, by_alpha, work, slots, ticket,
):  # fmt: skip
    """Write the gradient slots of all entries of all tiles.

    Args:
        records: see ``splats``.
        tile_start: [tiles + 1] where the list of each tile starts.
        list_gaussian: Gaussians of each tile, front to back.
        list_slot: slot of each entry.
        list_cells: as ``composite`` left it.
        tiles_x: tiles across the image.
        width: of the image.
        height: of the image.
        color: [3 H W] float32, the image as ``composite`` drew it.
        depth: [H W] float32, its depth.
        alpha: [H W] float32, its alpha.
        by_color: [3 H W] float32, the gradient of the image.
        by_depth: [H W] float32, the gradient of its depth.
        by_alpha: [H W] float32, the gradient of its alpha.
        work: [threads, TILE] float32 scratch.
        slots: flat float32, ``SLOT`` an entry, receives gradients.
        ticket: [1] int64, the next tile.
    """
    tiles = len(tile_start) - 1
    ticket[0] = 0
    for worker in prange(len(work)):
        mine = work[worker]
        scratch = np.zeros(ROOM, np.float32)
        image, by_image = (color, depth, alpha), (by_color, by_depth, by_alpha)
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
            start, end = tile_start[tile], tile_start[tile + 1]
            _prepare(image, by_image, left, top, width, height, mine)
            for n in range(start, end):
                ahead = min(n + AHEAD, end - 1)
                prefetch(records, s.SIZE * item(list_gaussian, ahead))
                prefetch(slots, s.SLOT * item(list_slot, ahead))
                r, slot = s.SIZE * item(list_gaussian, n), s.SLOT * item(list_slot, n)
                x, y = item(records, r + s.X) - np.float32(left), item(records, r + s.Y) - np.float32(top)
                _draw(records, r, x, y, item(list_cells, n), mine, scratch, slots, slot)
            tile = fetch_add(ticket, 0, 1)
