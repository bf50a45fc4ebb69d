"""Backward pass of the projection and Adam in one sweep over the Gaussians.

A group of eight goes from its gradient slots to its new parameters while it is in the cache: gradients
are never written to memory, and Gaussians out of sight are not touched.
"""

from collections import namedtuple

import numpy as np
from numba import njit, prange

from reconx_ros.splatting.cpu.adam import (
    Decay,
    is_finite,
    kept_rows,
    update,
    update1,
    update3,
    update4,
)
from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.memory import count_up, fetch_add, load, load_flags, look_up
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
    gradients3,
    gradients4,
)
from reconx_ros.splatting.cpu.simd import any_set, how_many, ramp

Step = namedtuple("Step", "wanted bias1 bias2 decay rates")
"""Which of eight Gaussians take a step, their bias corrections, and what all share."""


@njit(**INLINED)
def _three(scratch, first, i, param, m, v, step):
    """Update a parameter of three numbers a Gaussian; return for how many it was dropped."""
    by = gradients3(scratch, first)
    kept, rates = kept_rows(step.wanted, by), step.rates[first : first + 3]
    update3(param, m, v, 3 * i, by, kept, rates, step.bias1, step.bias2, step.decay)
    return how_many(step.wanted) - how_many(kept)


@njit(**INLINED)
def _quaternions(scratch, i, param, m, v, step):
    by = gradients4(scratch, QUATERNIONS)
    kept, rates = kept_rows(step.wanted, by), step.rates[QUATERNIONS : QUATERNIONS + 4]
    update4(param, m, v, 4 * i, by, kept, rates, step.bias1, step.bias2, step.decay)
    return how_many(step.wanted) - how_many(kept)


@njit(**INLINED)
def _logits(scratch, i, param, slopes, m, v, step):
    by = load(scratch, GRADIENTS + 8 * LOGIT) * load(slopes, i)
    kept = step.wanted & is_finite(by)
    update1(param, m, v, i, by, kept, step.rates[LOGIT] * step.bias1, step.bias2, step.decay)
    return how_many(step.wanted) - how_many(kept)


@njit(**INLINED)
def _harmonics(scratch, i, stored, param, m, v, step):
    if stored == 1:
        return _three(scratch, SH, i, param, m, v, step)
    kept, width = step.wanted, 3 * stored
    for k in range(SH, SH + width):
        kept = kept & is_finite(load(scratch, GRADIENTS + 8 * k))
    for k in range(width):
        by, size = load(scratch, GRADIENTS + 8 * (SH + k)), step.rates[SH + k] * step.bias1
        update(param, m, v, width * i + k, width, by, kept, size, step.bias2, step.decay)
    return how_many(step.wanted) - how_many(kept)


@njit(**INLINED)
def _group(p, m, v, slopes, i, begin, visible, counts, bias1, bias2, decay, rates, scratch):
    """Update those of Gaussians i to i + 7 that are visible and not before ``begin``."""
    wanted = load_flags(visible, i) & (ramp() >= np.float32(begin - i))
    count_up(counts, i, wanted)
    first, second = look_up(bias1, counts, i), look_up(bias2, counts, i)
    step = Step(wanted, first, second, decay, rates)
    stored = p.sh.size // p.means.size
    return (
        _three(scratch, MEANS, i, p.means, m.means, v.means, step)
        + _three(scratch, SCALES, i, p.log_scales, m.log_scales, v.log_scales, step)
        + _quaternions(scratch, i, p.quaternions, m.quaternions, v.quaternions, step)
        + _logits(scratch, i, p.opacity_logits, slopes, m.opacity_logits, v.opacity_logits, step)
        + _harmonics(scratch, i, stored, p.sh, m.sh, v.sh, step)
    )


@kernel(parallel=True)
def project_update(
    means, log_scales, quaternions, drawn_logits, sh, degree, compensate, view, scratch, slots,
    first_slot, slot_count, opacity_logits, slopes, visible, m_means, m_log_scales, m_quaternions,
    m_opacity_logits, m_sh, v_means, v_log_scales, v_quaternions, v_opacity_logits, v_sh, counts, rates,
    bias1, bias2, beta1, beta2, eps, dropped, ticket,
):  # fmt: skip
    """Take one Adam step of all visible Gaussians.

    Args:
        means: [3 N] float32, updated; likewise the following.
        log_scales: [3 N] float32.
        quaternions: [4 N] float32, wxyz.
        drawn_logits: [N] float32, as they were drawn; not updated.
        sh: [3 K N] float32.
        degree: highest degree of the harmonics used.
        compensate: whether opacities make up for the low-pass filter.
        view: the camera (see ``footprint``).
        scratch: [threads, SCRATCH] float32.
        slots: gradient slots of all tile lists.
        first_slot: [N] int32, where the slots of each Gaussian start.
        slot_count: [N] int32, how many it has.
        opacity_logits: [N] float32, updated; ``drawn_logits`` itself where nothing came between.
        slopes: [N] float32, of the drawn logits by these.
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
        mine, number = scratch[worker], 0
        drawn = Parameters(means, log_scales, quaternions, drawn_logits, sh)
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
                if any_set(load_flags(visible, i)):
                    gradients(drawn, i, degree, compensate, view, slots, first_slot, slot_count, mine)
                    number += _group(
                        p, m, v, slopes, i, 8 * group, visible, counts, bias1, bias2, decay, rates, mine
                    )
            start = fetch_add(ticket, 0, GROUPS)
        dropped[worker] = number
