"""Backward pass of compositing: from the gradient of the image to one slot per Gaussian and tile.

Front to back again, with the decisions of the forward pass. With g the gradient of a pixel's colour
and depth, s_i = g · (c_i, z_i), and R_i what Gaussian i and all behind it give,
R_i = Σ_{j>=i} w_j s_j + T g_T (T the final transmittance, g_T its gradient),

    dL/dα_i = T_i s_i - R_{i+1} / (1 - α_i).

R starts as the whole, known from the forward pass, and w_i s_i is taken off at each step.
"""

import math

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.forward import (
    ALPHA_MAX,
    PLANES,
    TRANSMITTANCE_MIN,
    ZERO,
    rows_of_tile,
    segments_of_row,
    unclipped_alpha,
)
from reconx_ros.splatting.cpu.functions import INLINED, ONE, PARALLEL
from reconx_ros.splatting.cpu.simd import (
    absolute,
    fetch_add,
    fma,
    load,
    minimum,
    ramp,
    select,
    spread,
    store,
    total,
    totals,
)

WORK = 6
"""Planes of a tile in work: transmittance, R, gradients of red, green, blue and depth."""


@njit(**INLINED)
def _prepare(planes, base, left, top, background, by_color, by_depth, by_alpha, work):
    """Fill the work planes of a tile; pixels outside the image get no gradient."""
    height, width = by_alpha.shape
    work[: s.TILE_PIXELS] = ONE
    work[s.TILE_PIXELS :] = ZERO
    for y in range(top, min(top + s.TILE_HEIGHT, height)):
        at = (y - top) * s.TILE_WIDTH
        for x in range(left, min(left + s.TILE_WIDTH, width)):
            whole = abs(planes[base + at]) * -by_alpha[y, x]
            for channel in range(3):
                gradient = by_color[y, x, channel]
                work[at + (2 + channel) * s.TILE_PIXELS] = gradient
                in_front = planes[base + at + (1 + channel) * s.TILE_PIXELS]
                whole += gradient * (in_front + abs(planes[base + at]) * background[channel])
            work[at + 5 * s.TILE_PIXELS] = by_depth[y, x]
            whole += by_depth[y, x] * planes[base + at + 4 * s.TILE_PIXELS]
            work[at + s.TILE_PIXELS] = whole
            at += 1


@njit(**INLINED)
def _draw(records, r, left, top, work, slots, slot):
    """Walk over the pixels of one Gaussian in a tile and write its gradient slot."""
    x, y, slope = records[r + s.X] - left, records[r + s.Y] - top, records[r + s.SLOPE]
    sharp_x, sharp_y, peak = records[r + s.SHARP_X], records[r + s.SHARP_Y], records[r + s.PEAK]
    reach, spread_x = records[r + s.REACH], records[r + s.SPREAD_X]
    red, green, blue = spread(records[r + s.RED]), spread(records[r + s.GREEN]), spread(records[r + s.BLUE])
    depth = spread(records[r + s.DEPTH])
    lanes = ramp() * sharp_x
    by_red, by_green, by_blue, by_depth = spread(ZERO), spread(ZERO), spread(ZERO), spread(ZERO)
    q_1, q_u, q_uu, q_uy, q_y, q_yy = (
        spread(ZERO), spread(ZERO), spread(ZERO), spread(ZERO), spread(ZERO), spread(ZERO),
    )  # fmt: skip
    first, last = rows_of_tile(y, records[r + s.HALF_Y])
    for row in range(first, last + 1):
        dy = np.float32(row) - y
        v = dy * sharp_y
        centre = x + slope * dy
        half = math.sqrt(max(reach - v * v, ZERO)) * spread_x
        start, segments = segments_of_row(centre, half)
        for k in range(segments):
            column = start + 8 * k
            at = row * s.TILE_WIDTH + column
            u = lanes + sharp_x * (np.float32(column) - centre)
            unclipped = unclipped_alpha(u, spread(peak - v * v))
            alpha = minimum(unclipped, ALPHA_MAX)
            before = load(work, at)
            after = fma(-before, alpha, before)
            open_ = after > TRANSMITTANCE_MIN
            store(work, at, select(open_, after, -absolute(before)))
            alpha = select(open_, alpha, ZERO)
            weight = before * alpha
            g_red, g_green = load(work, at + 2 * s.TILE_PIXELS), load(work, at + 3 * s.TILE_PIXELS)
            g_blue, g_depth = load(work, at + 4 * s.TILE_PIXELS), load(work, at + 5 * s.TILE_PIXELS)
            by_red, by_green = fma(weight, g_red, by_red), fma(weight, g_green, by_green)
            by_blue, by_depth = fma(weight, g_blue, by_blue), fma(weight, g_depth, by_depth)
            value = fma(red, g_red, fma(green, g_green, fma(blue, g_blue, depth * g_depth)))
            behind = fma(-weight, value, load(work, at + s.TILE_PIXELS))
            store(work, at + s.TILE_PIXELS, behind)
            by_alpha = fma(before, value, -(behind / (ONE - alpha)))
            q = select(unclipped <= ALPHA_MAX, alpha, ZERO) * by_alpha
            qu, qy = q * u, q * dy
            q_1, q_u, q_uu = q_1 + q, q_u + qu, fma(qu, u, q_uu)
            q_uy, q_y, q_yy = fma(qu, dy, q_uy), q_y + qy, fma(qy, dy, q_yy)
    store(slots, slot, totals(by_red, by_green, by_blue, by_depth, q_1, q_u, q_uu, q_uy))
    slots[slot + 8] = total(q_y)
    slots[slot + 9] = total(q_yy)


@njit(**PARALLEL)
def composite_backward(
    records, tile_start, list_gaussian, list_slot, tiles_x, background, planes, drawn, by_color, by_depth,
    by_alpha, work, slots, ticket,
):  # fmt: skip
    """Write the gradient slots of all entries of all tiles.

    Args:
        records, tile_start, list_gaussian, tiles_x, background, planes, drawn: as in ``composite``.
        list_slot: slot of each entry.
        by_color, by_depth, by_alpha: [H, W, 3], [H, W], [H, W] float32, the gradient of the image.
        work: [threads, WORK * TILE_PIXELS] float32 scratch.
        slots: flat float32, ``SLOT`` an entry, receives gradients.
        ticket: [1] int64, the next tile.
    """
    tiles = len(tile_start) - 1
    ticket[0] = 0
    for worker in prange(len(work)):
        mine = work[worker]
        tile = fetch_add(ticket, 0, 1)
        while tile < tiles:
            left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
            base, start = tile * PLANES * s.TILE_PIXELS, tile_start[tile]
            _prepare(planes, base, left, top, background, by_color, by_depth, by_alpha, mine)
            for n in range(start, start + drawn[tile]):
                r, slot = s.SIZE * list_gaussian[n], s.SLOT * list_slot[n]
                _draw(records, r, np.float32(left), np.float32(top), mine, slots, slot)
            for n in range(start + drawn[tile], tile_start[tile + 1]):
                slots[s.SLOT * list_slot[n] : s.SLOT * list_slot[n] + s.SLOT] = ZERO
            tile = fetch_add(ticket, 0, 1)
