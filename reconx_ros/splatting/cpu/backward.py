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
from reconx_ros.splatting.cpu.alphas import ALPHA_MAX, SCRATCH, TRANSMITTANCE_MIN, unclipped_alpha
from reconx_ros.splatting.cpu.backward_passes import draw_in_passes
from reconx_ros.splatting.cpu.cells import CELLS, LANES, ZERO, place, u_and_v
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.forward import AHEAD
from reconx_ros.splatting.cpu.functions import ONE
from reconx_ros.splatting.cpu.lanes import WIDE
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
from reconx_ros.splatting.cpu.tile_image import WORK_CELL as CELL
from reconx_ros.splatting.cpu.tile_image import prepare

TILE = CELLS * CELL
"""Floats of a tile."""


@njit(**INLINED)
def _draw_at_once(records, r, x, y, cells, work, scratch, slots, slot):
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


_draw = _draw_at_once if WIDE else draw_in_passes


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
        scratch = np.zeros(SCRATCH, np.float32)
        image, by_image = (color, depth, alpha), (by_color, by_depth, by_alpha)
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
            start, end = tile_start[tile], tile_start[tile + 1]
            prepare(image, by_image, left, top, width, height, mine)
            for n in range(start, end):
                ahead = min(n + AHEAD, end - 1)
                prefetch(records, s.SIZE * item(list_gaussian, ahead))
                prefetch(slots, s.SLOT * item(list_slot, ahead))
                r, slot = s.SIZE * item(list_gaussian, n), s.SLOT * item(list_slot, n)
                x, y = item(records, r + s.X) - np.float32(left), item(records, r + s.Y) - np.float32(top)
                _draw(records, r, x, y, item(list_cells, n), mine, scratch, slots, slot)
            tile = fetch_add(ticket, 0, 1)
