"""The backward walk over the pixels of one Gaussian (see ``backward``) where a cell is two registers.

A Gaussian's ten sums and what they are made of do not fit into sixteen registers of eight numbers, and
its chain of dependent operations is long. So each pass goes over all cells: the alphas; what a pixel
gives to the colours and to q (see ``splats.SLOT``), which replaces the alphas; the moments of q.
"""

from numba import njit

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.alphas import ALPHA_MAX, ALPHAS, TRANSMITTANCE_MIN, write_alphas
from reconx_ros.splatting.cpu.cells import LANES, ZERO, u_and_v
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.functions import ONE
from reconx_ros.splatting.cpu.memory import item, load, load16, store
from reconx_ros.splatting.cpu.simd import (
    absolute,
    first_bit,
    fma,
    lower,
    minimum,
    select,
    spread,
    total,
    totals,
    upper,
    without_first_bit,
)
from reconx_ros.splatting.cpu.tile_image import WORK_CELL as CELL

HALF = LANES // 2


@njit(**INLINED)
def _half_to_colors(work, at, scratch, alphas, color, sums):
    """Walk over eight pixels: replace their alphas by q; return the sums of the colours' gradients."""
    red, green, blue, depth = color
    by_red, by_green, by_blue, by_depth = sums
    unclipped, before = load(scratch, alphas), load(work, at)
    alpha = minimum(unclipped, ALPHA_MAX)
    after = fma(-before, alpha, before)
    open_ = after > TRANSMITTANCE_MIN
    store(work, at, select(open_, after, -absolute(before)))
    alpha = select(open_, alpha, ZERO)
    weight, rest = before * alpha, ONE / (ONE - alpha)
    g_red, g_green = load(work, at + 2 * LANES), load(work, at + 3 * LANES)
    g_blue, g_depth = load(work, at + 4 * LANES), load(work, at + 5 * LANES)
    by_red, by_green = fma(weight, g_red, by_red), fma(weight, g_green, by_green)
    by_blue, by_depth = fma(weight, g_blue, by_blue), fma(weight, g_depth, by_depth)
    value = fma(red, g_red, fma(green, g_green, fma(blue, g_blue, depth * g_depth)))
    behind = fma(-weight, value, load(work, at + LANES))
    store(work, at + LANES, behind)
    by_alpha = fma(-behind, rest, before * value)
    store(scratch, alphas, select(unclipped <= ALPHA_MAX, alpha, ZERO) * by_alpha)
    return by_red, by_green, by_blue, by_depth


@njit(**INLINED)
def _to_colors(records, r, cells, work, scratch):
    """Replace the alphas of ``cells`` by q; return the sums of the colours' gradients."""
    red, green = spread(item(records, r + s.RED)), spread(item(records, r + s.GREEN))
    blue, depth = spread(item(records, r + s.BLUE)), spread(item(records, r + s.DEPTH))
    color, zero, alphas = (red, green, blue, depth), spread(ZERO), ALPHAS
    sums = zero, zero, zero, zero
    while cells != 0:
        at = CELL * first_bit(cells)
        cells = without_first_bit(cells)
        sums = _half_to_colors(work, at, scratch, alphas, color, sums)
        sums = _half_to_colors(work, at + HALF, scratch, alphas + HALF, color, sums)
        alphas += LANES
    return sums


@njit(**INLINED)
def _half_to_moments(u, v, q, sums):
    q_1, q_u, q_uu, q_uv, q_v, q_vv = sums
    qu, qv = q * u, q * v
    return q_1 + q, q_u + qu, fma(qu, u, q_uu), fma(qu, v, q_uv), q_v + qv, fma(qv, v, q_vv)


@njit(**INLINED)
def _to_moments(u_0, v_0, cells, scratch):
    """Return the sums of q, q u, q u², q u v, q v and q v² over ``cells``."""
    zero, at = spread(ZERO), ALPHAS
    sums = zero, zero, zero, zero, zero, zero
    while cells != 0:
        u, v = u_and_v(u_0, v_0, first_bit(cells), scratch)
        cells = without_first_bit(cells)
        q = load16(scratch, at)
        sums = _half_to_moments(lower(u), lower(v), lower(q), sums)
        sums = _half_to_moments(upper(u), upper(v), upper(q), sums)
        at += LANES
    return sums


@njit(**INLINED)
def draw_in_passes(records, r, x, y, cells, work, scratch, slots, slot):
    """Walk over the pixels of one Gaussian in a tile and write its gradient slot."""
    u_0, v_0 = write_alphas(records, r, x, y, cells, scratch)
    by_red, by_green, by_blue, by_depth = _to_colors(records, r, cells, work, scratch)
    q_1, q_u, q_uu, q_uv, q_v, q_vv = _to_moments(u_0, v_0, cells, scratch)
    store(slots, slot, totals(by_red, by_green, by_blue, by_depth, q_1, q_u, q_uu, q_uv))
    slots[slot + 8] = total(q_v)
    slots[slot + 9] = total(q_vv)
