"""Backward pass of compositing: from the gradient of the image to one slot per Gaussian and tile.

Front to back again, with the decisions of the forward pass. With g the gradient of a pixel's colour
and depth, s_i = g · (c_i, z_i), and R_i what Gaussian i and all behind it give,
R_i = Σ_{j>=i} w_j s_j + T g_T (T the final transmittance, g_T its gradient),

    dL/dα_i = T_i s_i - R_{i+1} / (1 - α_i).

R starts as the whole, known from the forward pass, and w_i s_i is taken off at each step.
"""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu import forward
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.forward import (
    AHEAD,
    ALPHA_MAX,
    EIGHT,
    TRANSMITTANCE_MIN,
    WIDTH,
    ZERO,
    unclipped_alpha,
)
from reconx_ros.splatting.cpu.functions import ONE
from reconx_ros.splatting.cpu.memory import fetch_add, item, load, prefetch, store
from reconx_ros.splatting.cpu.rows import LEVEL, OFFSET, ROOM, SEGMENTS, START, spans
from reconx_ros.splatting.cpu.simd import absolute, fma, minimum, ramp, select, spread, total, totals

ROW = 6 * WIDTH
TILE = s.TILE_HEIGHT * ROW
"""Floats of a row and of a tile: transmittance, R, and the gradients of red, green, blue and depth."""


@njit(**INLINED)
def _prepare(planes, base, left, top, background, by_color, by_depth, by_alpha, work):
    """Fill the work of a tile; pixels outside the image get no gradient."""
    height, width = by_alpha.shape
    work[:] = ZERO
    for y in range(top, min(top + s.TILE_HEIGHT, height)):
        at, of = (y - top) * ROW, base + (y - top) * forward.ROW
        for x in range(left, min(left + WIDTH, width)):
            red, green, blue, depth = (
                by_color[y, x, 0],
                by_color[y, x, 1],
                by_color[y, x, 2],
                by_depth[y, x],
            )
            behind = red * background[0] + green * background[1] + blue * background[2] - by_alpha[y, x]
            work[at] = ONE
            work[at + WIDTH] = (
                abs(item(planes, of)) * behind
                + red * item(planes, of + WIDTH)
                + green * item(planes, of + 2 * WIDTH)
                + blue * item(planes, of + 3 * WIDTH)
                + depth * item(planes, of + 4 * WIDTH)
            )
            work[at + 2 * WIDTH] = red
            work[at + 3 * WIDTH] = green
            work[at + 4 * WIDTH] = blue
            work[at + 5 * WIDTH] = depth
            at += 1
            of += 1


@njit(**INLINED)
def _draw(records, r, left, top, work, whole, real, slots, slot):
    """Walk over the pixels of one Gaussian in a tile and write its gradient slot."""
    red, green = spread(item(records, r + s.RED)), spread(item(records, r + s.GREEN))
    blue, depth = spread(item(records, r + s.BLUE)), spread(item(records, r + s.DEPTH))
    y, sharp_x = item(records, r + s.Y) - top, item(records, r + s.SHARP_X)
    lanes, step = ramp() * sharp_x, spread(EIGHT * sharp_x)
    zero = spread(ZERO)
    by_red, by_green, by_blue, by_depth = zero, zero, zero, zero
    q_1, q_u, q_uu, q_uy, q_y, q_yy = zero, zero, zero, zero, zero, zero
    first, last = spans(records, r, left, top, whole, real)
    for row in range(first, last + 1):
        dy = np.float32(row) - y
        at = row * ROW + item(whole, START + row)
        level = spread(item(real, LEVEL + row))
        u = lanes + item(real, OFFSET + row)
        for _ in range(item(whole, SEGMENTS + row)):
            unclipped = unclipped_alpha(u, level)
            alpha = minimum(unclipped, ALPHA_MAX)
            before = load(work, at)
            after = fma(-before, alpha, before)
            open_ = after > TRANSMITTANCE_MIN
            store(work, at, select(open_, after, -absolute(before)))
            alpha = select(open_, alpha, ZERO)
            weight = before * alpha
            g_red, g_green = load(work, at + 2 * WIDTH), load(work, at + 3 * WIDTH)
            g_blue, g_depth = load(work, at + 4 * WIDTH), load(work, at + 5 * WIDTH)
            by_red, by_green = fma(weight, g_red, by_red), fma(weight, g_green, by_green)
            by_blue, by_depth = fma(weight, g_blue, by_blue), fma(weight, g_depth, by_depth)
            value = fma(red, g_red, fma(green, g_green, fma(blue, g_blue, depth * g_depth)))
            behind = fma(-weight, value, load(work, at + WIDTH))
            store(work, at + WIDTH, behind)
            by_alpha = fma(before, value, -(behind / (ONE - alpha)))
            q = select(unclipped <= ALPHA_MAX, alpha, ZERO) * by_alpha
            qu, qy = q * u, q * dy
            q_1, q_u, q_uu = q_1 + q, q_u + qu, fma(qu, u, q_uu)
            q_uy, q_y, q_yy = fma(qu, dy, q_uy), q_y + qy, fma(qy, dy, q_yy)
            u = u + step
            at += 8
    store(slots, slot, totals(by_red, by_green, by_blue, by_depth, q_1, q_u, q_uu, q_uy))
    slots[slot + 8] = total(q_y)
    slots[slot + 9] = total(q_yy)


@kernel(parallel=True)
def composite_backward(
    records, tile_start, list_gaussian, list_slot, tiles_x, background, planes, drawn, by_color, by_depth,
    by_alpha, work, slots, ticket,
):  # fmt: skip
    """Write the gradient slots of all entries of all tiles.

    Args:
        records: see ``splats``.
        tile_start: [tiles + 1] where the list of each tile starts.
        list_gaussian: Gaussians of each tile, front to back.
        list_slot: slot of each entry.
        tiles_x: tiles across the image.
        background: [3] float32.
        planes: as ``composite`` left it.
        drawn: as ``composite`` left it.
        by_color: [H, W, 3] float32, the gradient of the image.
        by_depth: [H, W] float32, the gradient of its depth.
        by_alpha: [H, W] float32, the gradient of its alpha.
        work: [threads, TILE] float32 scratch.
        slots: flat float32, ``SLOT`` an entry, receives gradients.
        ticket: [1] int64, the next tile.
    """
    tiles = len(tile_start) - 1
    ticket[0] = 0
    for worker in prange(len(work)):
        mine = work[worker]
        whole, real = np.zeros(2 * ROOM, np.int32), np.zeros(2 * ROOM, np.float32)
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            left, top = tile % tiles_x * WIDTH, tile // tiles_x * s.TILE_HEIGHT
            start, end = tile_start[tile], tile_start[tile + 1]
            _prepare(planes, tile * forward.TILE, left, top, background, by_color, by_depth, by_alpha, mine)
            for n in range(start, start + drawn[tile]):
                ahead = min(n + AHEAD, end - 1)
                prefetch(records, s.SIZE * list_gaussian[ahead])
                prefetch(slots, s.SLOT * list_slot[ahead])
                r, slot = s.SIZE * list_gaussian[n], s.SLOT * list_slot[n]
                _draw(records, r, np.float32(left), np.float32(top), mine, whole, real, slots, slot)
            for n in range(start + drawn[tile], end):
                slots[s.SLOT * list_slot[n] : s.SLOT * list_slot[n] + s.SLOT] = ZERO
            tile = fetch_add(ticket, 0, 1)
