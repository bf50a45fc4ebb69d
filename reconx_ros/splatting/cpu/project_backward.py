"""From the gradient slots to the gradients of the five parameters, eight Gaussians at once.

The gradients of a group of eight go to a thread's scratch array first, number by number of a Gaussian
(means, log scales, quaternion, opacity, harmonics): from there they are delivered, or used at once by
``project_update``, and never written to memory.
"""

from collections import namedtuple

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu import sh as harmonics
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.footprint import (
    FX,
    FY,
    HIGH_X,
    HIGH_Y,
    LOW_X,
    LOW_Y,
    TWO,
    footprint,
)
from reconx_ros.splatting.cpu.functions import sigmoid
from reconx_ros.splatting.cpu.memory import (
    fetch_add,
    gather,
    item,
    load,
    prefetch,
    scatter,
    store,
    store_rows,
)
from reconx_ros.splatting.cpu.project import GROUPS, ZERO, first_of_group
from reconx_ros.splatting.cpu.sh_backward import sh_backward
from reconx_ros.splatting.cpu.shape_backward import axis_backward, shape_backward
from reconx_ros.splatting.cpu.simd import fma, select, spread

LN2 = np.float32(np.log(2))
TINY = np.float32(1e-30)
_SUMS = 3 * harmonics.ROWS * 8
"""Where in the scratch array the summed slots start: 8 x ``SLOT`` floats after the harmonics' slopes."""

_SEEN = _SUMS + 8 * s.SLOT
"""Where in the scratch array the eight numbers of slots start."""

GRADIENTS = _SEEN + 8
"""Where in the scratch array the gradients start: number k of a Gaussian at ``GRADIENTS`` + 8 k."""

MEANS, SCALES, QUATERNIONS, LOGIT, SH = 0, 3, 6, 10, 11
"""First numbers of the five parameters."""

SCRATCH = GRADIENTS + 8 * (SH + 3 * harmonics.ROWS)
"""Floats of scratch a thread needs."""

Parameters = namedtuple("Parameters", "means log_scales quaternions opacity_logits sh")
"""Five flat float32 arrays."""


@njit(**INLINED)
def _sum_slots(slots, first_slot, slot_count, i, out):
    """Add up the slots of Gaussians i to i + 7; return whether there were any."""
    some = False
    for lane in range(8):
        start, count = first_slot[i + lane], slot_count[i + lane]
        out[_SEEN + lane] = np.float32(count)
        some |= count > 0
        if i + 16 <= len(first_slot):
            prefetch(slots, s.SLOT * item(first_slot, i + 8 + lane))
        most, last, last_but_one = spread(ZERO), ZERO, ZERO
        for slot in range(s.SLOT * start, s.SLOT * (start + count), s.SLOT):
            most = most + load(slots, slot)
            last_but_one += item(slots, slot + 8)
            last += item(slots, slot + 9)
        at = _SUMS + lane * s.SLOT
        store(out, at, most)
        out[at + 8], out[at + 9] = last_but_one, last
    return some


@njit(**INLINED)
def _sum(scratch, k):
    return gather(scratch, _SUMS + k, s.SLOT)


@njit(**INLINED)
def _keep(scratch, k, seen, value):
    """Write the gradient of number k; those without slots get zero."""
    store(scratch, GRADIENTS + 8 * k, select(seen, value, ZERO))


@njit(**INLINED)
def _write_quaternions(p, seen, g00, g01, g02, g10, g11, g12, g20, g21, g22, scratch):
    """Write the gradient of the quaternions, given that of the rotation matrix."""
    w, x, y, z = p.qw, p.qx, p.qy, p.qz
    by_w = x * (g21 - g12) + y * (g02 - g20) + z * (g10 - g01)
    by_x = y * (g01 + g10) + z * (g02 + g20) + w * (g21 - g12) - TWO * x * (g11 + g22)
    by_y = x * (g01 + g10) + z * (g12 + g21) + w * (g02 - g20) - TWO * y * (g00 + g22)
    by_z = x * (g02 + g20) + y * (g12 + g21) + w * (g10 - g01) - TWO * z * (g00 + g11)
    along = w * by_w + x * by_x + y * by_y + z * by_z
    scale = TWO * p.inverse_norm
    _keep(scratch, QUATERNIONS, seen, scale * (by_w - w * along))
    _keep(scratch, QUATERNIONS + 1, seen, scale * (by_x - x * along))
    _keep(scratch, QUATERNIONS + 2, seen, scale * (by_y - y * along))
    _keep(scratch, QUATERNIONS + 3, seen, scale * (by_z - z * along))


@njit(**INLINED)
def _write_geometry(p, by, by_depth, view, seen, around, scratch):
    """Write the gradients of scales, quaternions and means; ``around`` is that of the means by colour."""
    a0, b0, s0 = axis_backward(p.p00, p.p10, p.scale_0, by)
    a1, b1, s1 = axis_backward(p.p01, p.p11, p.scale_1, by)
    a2, b2, s2 = axis_backward(p.p02, p.p12, p.scale_2, by)
    _keep(scratch, SCALES, seen, s0)
    _keep(scratch, SCALES + 1, seen, s1)
    _keep(scratch, SCALES + 2, seen, s2)
    _write_quaternions(
        p, seen,
        a0 * p.t00 + b0 * p.t10, a1 * p.t00 + b1 * p.t10, a2 * p.t00 + b2 * p.t10,
        a0 * p.t01 + b0 * p.t11, a1 * p.t01 + b1 * p.t11, a2 * p.t01 + b2 * p.t11,
        a0 * p.t02 + b0 * p.t12, a1 * p.t02 + b1 * p.t12, a2 * p.t02 + b2 * p.t12,
        scratch,
    )  # fmt: skip
    # J W depends on the mean through 1/z and through the clamped tangents.
    forward_0 = view[8] * p.r00 + view[9] * p.r10 + view[10] * p.r20
    forward_1 = view[8] * p.r01 + view[9] * p.r11 + view[10] * p.r21
    forward_2 = view[8] * p.r02 + view[9] * p.r12 + view[10] * p.r22
    free_x = (p.tangent_x >= view[LOW_X]) & (p.tangent_x <= view[HIGH_X])
    free_y = (p.tangent_y >= view[LOW_Y]) & (p.tangent_y <= view[HIGH_Y])
    by_tangent_x = (a0 * forward_0 + a1 * forward_1 + a2 * forward_2) * (p.inverse_z * -view[FX])
    by_tangent_y = (b0 * forward_0 + b1 * forward_1 + b2 * forward_2) * (p.inverse_z * -view[FY])
    by_tangent_x = fma(by.x, view[FX], select(free_x, by_tangent_x, ZERO))
    by_tangent_y = fma(by.y, view[FY], select(free_y, by_tangent_y, ZERO))
    by_size = a0 * p.p00 + a1 * p.p01 + a2 * p.p02 + b0 * p.p10 + b1 * p.p11 + b2 * p.p12
    by_x, by_y = by_tangent_x * p.inverse_z, by_tangent_y * p.inverse_z
    by_z = by_depth - by_x * p.tangent_x - by_y * p.tangent_y - by_size * p.inverse_z
    for k in range(3):
        by_mean = fma(by_x, view[k], fma(by_y, view[4 + k], fma(by_z, view[8 + k], around[k])))
        _keep(scratch, MEANS + k, seen, by_mean)


@njit(**INLINED)
def gradients(inputs, i, degree, compensate, view, slots, first_slot, slot_count, scratch):
    """Leave the gradients of Gaussians i to i + 7 in ``scratch``."""
    if not _sum_slots(slots, first_slot, slot_count, i, scratch):
        scratch[GRADIENTS:] = ZERO
        return
    seen = load(scratch, _SEEN) > ZERO
    p = footprint(inputs.means, inputs.log_scales, inputs.quaternions, i, view)
    around = sh_backward(
        inputs.means, inputs.sh, degree, i, view, scratch, seen,
        _sum(scratch, 0), _sum(scratch, 1), _sum(scratch, 2), GRADIENTS + 8 * SH,
    )  # fmt: skip
    q_1, q_u, q_uu = _sum(scratch, 4), _sum(scratch, 5), _sum(scratch, 6)
    q_uv, q_v, q_vv = _sum(scratch, 7), _sum(scratch, 8), _sum(scratch, 9)
    by = shape_backward(p, q_1, q_u, q_uu, q_uv, q_v, q_vv, compensate)
    _write_geometry(p, by, _sum(scratch, 3), view, seen, around, scratch)
    _keep(scratch, LOGIT, seen, q_1 * sigmoid(-load(inputs.opacity_logits, i)))


@njit(**INLINED)
def gradients3(scratch, first):
    """Return the gradients of three numbers from ``first`` on."""
    at = GRADIENTS + 8 * first
    return load(scratch, at), load(scratch, at + 8), load(scratch, at + 16)


@njit(**INLINED)
def gradients4(scratch, first):
    """Return the gradients of four numbers from ``first`` on."""
    a, b, c = gradients3(scratch, first)
    return a, b, c, load(scratch, GRADIENTS + 8 * (first + 3))


@njit(**INLINED)
def _deliver(scratch, i, stored, by_means, by_log_scales, by_quaternions, by_opacity_logits, by_sh):
    """Write the gradients of Gaussians i to i + 7."""
    store_rows(by_means, 3 * i, gradients3(scratch, MEANS))
    store_rows(by_log_scales, 3 * i, gradients3(scratch, SCALES))
    store_rows(by_quaternions, 4 * i, gradients4(scratch, QUATERNIONS))
    store(by_opacity_logits, i, load(scratch, GRADIENTS + 8 * LOGIT))
    if stored == 1:
        store_rows(by_sh, 3 * i, gradients3(scratch, SH))
    else:
        for k in range(3 * stored):
            scatter(by_sh, 3 * stored * i + k, 3 * stored, load(scratch, GRADIENTS + 8 * (SH + k)))


@kernel(parallel=True)
def project_backward(
    means, log_scales, quaternions, opacity_logits, sh, degree, compensate, view, scratch, slots,
    first_slot, slot_count, by_means, by_log_scales, by_quaternions, by_opacity_logits, by_sh, ticket,
):  # fmt: skip
    """Write the gradients of the five parameters (zero for Gaussians without slots).

    Args:
        means: [3 N] float32.
        log_scales: [3 N] float32.
        quaternions: [4 N] float32, wxyz.
        opacity_logits: [N] float32.
        sh: [3 K N] float32.
        degree: highest degree of the harmonics used.
        compensate: whether opacities make up for the low-pass filter.
        view: the camera (see ``footprint``).
        scratch: [threads, SCRATCH] float32.
        slots: gradient slots of all tile lists.
        first_slot: [N] int32, where the slots of each Gaussian start.
        slot_count: [N] int32, how many it has.
        by_means: [3 N] float32, receives gradients; likewise the following.
        by_log_scales: [3 N] float32.
        by_quaternions: [4 N] float32.
        by_opacity_logits: [N] float32.
        by_sh: [3 K N] float32.
        ticket: [1] int64, the next chunk of work.
    """
    count = len(opacity_logits)
    groups = (count + 7) // 8
    stored = len(sh) // (3 * count)
    ticket[0] = 0
    for worker in prange(len(scratch)):
        mine = scratch[worker]
        inputs = Parameters(means, log_scales, quaternions, opacity_logits, sh)
        start = fetch_add(ticket, 0, GROUPS)
        while start < groups:
            for group in range(start, min(start + GROUPS, groups)):
                i = first_of_group(group, count)
                gradients(inputs, i, degree, compensate, view, slots, first_slot, slot_count, mine)
                _deliver(mine, i, stored, by_means, by_log_scales, by_quaternions, by_opacity_logits, by_sh)
            start = fetch_add(ticket, 0, GROUPS)
