"""Backward pass of the projection and Adam in one sweep over the Gaussians.

A group of eight goes from its gradient slots to its new parameters while it is in the cache: gradients
are never written to memory, and Gaussians out of sight are not touched.
"""

from collections import namedtuple

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu.adam import Decay, corrections, count_lanes, is_finite, update
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.memory import fetch_add, load
from reconx_ros.splatting.cpu.project import GROUPS
from reconx_ros.splatting.cpu.project_backward import (
    GRADIENTS,
    LOGIT,
    MEANS,
    QUATERNIONS,
    SCALES,
    SH,
    Parameters,
    gradients,
)

Step = namedtuple("Step", "wanted bias1 bias2 decay rates")
"""Which of eight Gaussians take a step, their bias corrections, and what all share."""


@njit(**INLINED)
def _parameter(scratch, first, width, i, param, m, v, step, lanes):
    """Update a parameter of ``width`` numbers a Gaussian; return for how many it was dropped."""
    kept = step.wanted
    for k in range(first, first + width):
        kept = kept & is_finite(load(scratch, GRADIENTS + 8 * k))
    for k in range(width):
        gradient, size = load(scratch, GRADIENTS + 8 * (first + k)), step.rates[first + k] * step.bias1
        update(param, m, v, width * i + k, width, gradient, kept, size, step.bias2, step.decay)
    return count_lanes(step.wanted, kept, lanes)


@njit(**INLINED)
def _group(p, m, v, i, begin, visible, counts, bias1, bias2, decay, rates, scratch, lanes):
    """Update those of Gaussians i to i + 7 that are visible and not before ``begin``."""
    for lane in range(8):
        row = i + lane
        wanted = row >= begin and visible[row]
        counts[row] += wanted
        lanes[lane] = np.float32(wanted)
    wanted = load(lanes, 0) > np.float32(0)
    first, second = corrections(counts, i, bias1, bias2, lanes)
    step = Step(wanted, first, second, decay, rates)
    stored = p.sh.size // p.means.size
    return (
        _parameter(scratch, MEANS, 3, i, p.means, m.means, v.means, step, lanes)
        + _parameter(scratch, SCALES, 3, i, p.log_scales, m.log_scales, v.log_scales, step, lanes)
        + _parameter(scratch, QUATERNIONS, 4, i, p.quaternions, m.quaternions, v.quaternions, step, lanes)
        + _parameter(
            scratch, LOGIT, 1, i, p.opacity_logits, m.opacity_logits, v.opacity_logits, step, lanes
        )
        + _parameter(scratch, SH, 3 * stored, i, p.sh, m.sh, v.sh, step, lanes)
    )


@njit(**INLINED)
def _any_visible(visible, i):
    some = False
    for row in range(i, i + 8):
        some |= visible[row]
    return some


@kernel(parallel=True)
def project_update(
    means, log_scales, quaternions, opacity_logits, sh, degree, compensate, view, scratch, slots,
    first_slot, slot_count, visible, m_means, m_log_scales, m_quaternions, m_opacity_logits, m_sh,
    v_means, v_log_scales, v_quaternions, v_opacity_logits, v_sh, counts, rates, bias1, bias2, beta1,
    beta2, eps, dropped, ticket,
):  # fmt: skip
    """Take one Adam step of all visible Gaussians.

    Args:
        means: [3 N] float32, updated; likewise the following.
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
        visible: [N] bool.
        m_means: first moments, like the parameters, updated; likewise the following.
        m_log_scales: [3 N] float32.
        m_quaternions: [4 N] float32.
        m_opacity_logits: [N] float32.
        m_sh: [3 K N] float32.
        v_means: second moments, likewise.
        v_log_scales: [3 N] float32.
        v_quaternions: [4 N] float32.
        v_opacity_logits: [N] float32.
        v_sh: [3 K N] float32.
        counts: [N] int32, steps of each Gaussian so far, updated.
        rates: [11 + 3 K] float32, the learning rate of each number of a Gaussian.
        bias1: 1 / (1 - beta1^t) by t.
        bias2: 1 / sqrt(1 - beta2^t) by t.
        beta1: decay of the first moments.
        beta2: decay of the second moments.
        eps: added to the square root of the second moment.
        dropped: [threads] int64, receives for how many rows of parameters the gradient was not finite.
        ticket: [1] int64, the next chunk of work.
    """
    count = len(opacity_logits)
    groups = count // 8
    ticket[0] = 0
    for worker in prange(len(scratch)):
        mine, lanes, number = scratch[worker], np.zeros(8, np.float32), 0
        p = Parameters(means, log_scales, quaternions, opacity_logits, sh)
        m = Parameters(m_means, m_log_scales, m_quaternions, m_opacity_logits, m_sh)
        v = Parameters(v_means, v_log_scales, v_quaternions, v_opacity_logits, v_sh)
        decay = Decay(beta1, beta2, eps)
        start = fetch_add(ticket, 0, GROUPS)
        while start < groups:
            end = min(start + GROUPS, groups)
            # What is left after whole groups overlaps the last one, and belongs to whoever has that.
            for group in range(start, end + (end == groups and count % 8 > 0)):
                i = min(8 * group, count - 8)
                if _any_visible(visible, i):
                    gradients(p, i, degree, compensate, view, slots, first_slot, slot_count, mine)
                    number += _group(
                        p, m, v, i, 8 * group, visible, counts, bias1, bias2, decay, rates, mine, lanes
                    )
            start = fetch_add(ticket, 0, GROUPS)
        dropped[worker] = number
