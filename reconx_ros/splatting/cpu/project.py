"""Activations, projection and colour of all Gaussians: parameters in, records out."""

import numpy as np
from numba import njit, prange

from reconx_ros.splatting import model
from reconx_ros.splatting.cpu import sh as harmonics
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.footprint import (
    CENTRE,
    CX,
    CY,
    FX,
    FY,
    HEIGHT,
    WIDTH,
    footprint,
)
from reconx_ros.splatting.cpu.functions import ONE, log2, sigmoid
from reconx_ros.splatting.cpu.memory import (
    fetch_add,
    gather,
    load,
    load_rows3,
    load_rows4,
    scatter,
    store,
    store_range,
)
from reconx_ros.splatting.cpu.simd import down, fma, maximum, minimum, select, spread, square_root, up

NEAR = np.float32(model.NEAR)
ZERO, HALF = np.float32(0), np.float32(0.5)
GROUPS = 64
"""Groups of eight Gaussians that a thread takes at a time."""


@njit(**INLINED)
def first_of_group(group, count):
    """Return the first Gaussian of a group; the last group overlaps the one before it."""
    return min(8 * group, count - 8)


@njit(**INLINED)
def direction(means, i, view):
    """Return the unit directions from the camera to the means and the inverse distances."""
    x, y, z = load_rows3(means, 3 * i)
    x, y, z = x - view[CENTRE], y - view[CENTRE + 1], z - view[CENTRE + 2]
    inverse = ONE / square_root(x * x + y * y + z * z)
    return x * inverse, y * inverse, z * inverse, inverse


@njit(**INLINED)
def color(sh, stored, degree, i, basis):
    """Return 0.5 + Σ_k Y_k sh_k, not clipped at 0, and a zero (NaN where sh is not finite)."""
    if stored == 1:
        value = load(basis, 0)
        r, g, b = load_rows3(sh, 3 * i)
        finite = fma(r, ZERO, fma(g, ZERO, b * ZERO))
        return fma(value, r, HALF), fma(value, g, HALF), fma(value, b, HALF), finite
    red, green, blue = spread(HALF), spread(HALF), spread(HALF)
    finite = spread(ZERO)
    for k in range((degree + 1) * (degree + 1)):
        value, at, step = load(basis, 8 * k), 3 * (i * stored + k), 3 * stored
        r, g, b = gather(sh, at, step), gather(sh, at + 1, step), gather(sh, at + 2, step)
        red, green, blue = fma(value, r, red), fma(value, g, green), fma(value, b, blue)
        finite = fma(r, ZERO, fma(g, ZERO, fma(b, ZERO, finite)))
    return red, green, blue, finite


@njit(**INLINED)
def opacity(opacity_logits, i, p, compensate):
    """Return the opacities, lowered for the low-pass filter on demand (Yu et al. 2024, eq. 9)."""
    value = sigmoid(load(opacity_logits, i))
    return value * square_root(p.sharp_det / p.det) if compensate else value


@njit(**INLINED)
def _finite(means, log_scales, quaternions, opacity_logits, i):
    """Return a zero, NaN in the lanes with a parameter that is not finite."""
    value = load(opacity_logits, i) * ZERO
    for x in load_rows3(means, 3 * i):
        value = fma(x, ZERO, value)
    for x in load_rows3(log_scales, 3 * i):
        value = fma(x, ZERO, value)
    for x in load_rows4(quaternions, 4 * i):
        value = fma(x, ZERO, value)
    return value


@njit(**INLINED)
def _write_shape(records, columns, rows, i, p, view, peak, finite):
    """Write the ellipse and its tiles; return the mask of the lanes that can reach a pixel."""
    at = s.SIZE * i
    reach = peak + s.REACH_OFFSET
    x, y = fma(p.tangent_x, view[FX], view[CX]), fma(p.tangent_y, view[FY], view[CY])
    sharp_y = s.SHARPNESS / square_root(p.yy)
    spread_x = square_root(p.det / p.yy) * (ONE / s.SHARPNESS)
    root = square_root(maximum(reach, ZERO)) * (ONE / s.SHARPNESS)
    half_x, half_y = root * square_root(p.xx), root * square_root(p.yy)
    scatter(records, at + s.X, s.SIZE, x)
    scatter(records, at + s.Y, s.SIZE, y)
    scatter(records, at + s.SLOPE, s.SIZE, p.xy / p.yy)
    scatter(records, at + s.SHARP_X, s.SIZE, ONE / spread_x)
    scatter(records, at + s.SHARP_Y, s.SIZE, sharp_y)
    scatter(records, at + s.PEAK, s.SIZE, peak)
    scatter(records, at + s.REACH, s.SIZE, reach)
    scatter(records, at + s.SPREAD_X, s.SIZE, spread_x)
    scatter(records, at + s.HALF_X, s.SIZE, half_x)
    scatter(records, at + s.HALF_Y, s.SIZE, half_y)
    scatter(records, at + s.TILT, s.SIZE, half_x * p.xy / p.xx)
    left, right = maximum(up(x - half_x), ZERO), minimum(down(x + half_x), view[WIDTH] - ONE)
    top, bottom = maximum(up(y - half_y), ZERO), minimum(down(y + half_y), view[HEIGHT] - ONE)
    inside = (left <= right) & (top <= bottom) & (reach >= ZERO) & (p.z > NEAR)
    visible = inside & (p.det < np.float32(1e37)) & (finite >= ZERO)
    _write_box(columns, i, left, right, visible, ONE / np.float32(s.TILE_WIDTH))
    _write_box(rows, i, top, bottom, visible, ONE / np.float32(s.TILE_HEIGHT))
    return visible


@njit(**INLINED)
def _write_box(spans, i, first, last, visible, tiles):
    """Write which tiles the pixels from ``first`` to ``last`` are in."""
    first, last = select(visible, first, ZERO), select(visible, last, ZERO)
    store_range(spans, i, down(first * tiles), down(last * tiles))


@njit(**INLINED)
def _group(
    means, log_scales, quaternions, opacity_logits, sh, i, degree, compensate, view, basis,
    records, columns, rows, depths,
):  # fmt: skip
    """Project Gaussians i to i + 7; the depth of those out of sight is written as -1."""
    p = footprint(means, log_scales, quaternions, i, view)
    x, y, z, _ = direction(means, i, view)
    harmonics.write_basis(basis, degree, x, y, z)
    stored = sh.size // means.size
    red, green, blue, finite = color(sh, stored, degree, i, basis)
    finite = finite + _finite(means, log_scales, quaternions, opacity_logits, i)
    peak = log2(opacity(opacity_logits, i, p, compensate))
    visible = _write_shape(records, columns, rows, i, p, view, peak, finite)
    at = s.SIZE * i
    scatter(records, at + s.RED, s.SIZE, maximum(red, ZERO))
    scatter(records, at + s.GREEN, s.SIZE, maximum(green, ZERO))
    scatter(records, at + s.BLUE, s.SIZE, maximum(blue, ZERO))
    scatter(records, at + s.DEPTH, s.SIZE, p.z)
    store(depths, i, select(visible, p.z, -ONE))


@kernel(parallel=True)
def project(
    means,
    log_scales,
    quaternions,
    opacity_logits,
    sh,
    degree,
    compensate,
    view,
    scratch,
    records,
    columns,
    rows,
    depths,
    ticket,
):
    """Fill ``records`` [N 16], boxes and ``depths`` [N] from flat float32 parameters of N >= 8 Gaussians.

    Args:
        means: [3 N] float32.
        log_scales: [3 N] float32.
        quaternions: [4 N] float32, wxyz.
        opacity_logits: [N] float32.
        sh: [3 K N] float32.
        degree: highest degree of the harmonics to use.
        compensate: whether opacities make up for the low-pass filter.
        view: the camera (see ``footprint``).
        scratch: [threads, S] float32, S >= 3 * 16 * 8.
        records: see ``splats``.
        columns: [N] int32, receives the first and last (16 bits further) column of tiles.
        rows: [N] int32, likewise the rows.
        depths: camera depth, -1 where the Gaussian cannot reach a pixel.
        ticket: [1] int64, the next chunk of work.
    """
    count = len(opacity_logits)
    groups = (count + 7) // 8
    ticket[0] = 0
    for worker in prange(len(scratch)):
        start = fetch_add(ticket, 0, GROUPS)
        while start < groups:
            for group in range(start, min(start + GROUPS, groups)):
                i = first_of_group(group, count)
                _group(
                    means, log_scales, quaternions, opacity_logits, sh, i, degree, compensate, view,
                    scratch[worker], records, columns, rows, depths,
                )  # fmt: skip
            start = fetch_add(ticket, 0, GROUPS)
