"""Adam (Kingma & Ba 2015) for all rows of a tensor, or for the visible ones only, in one pass."""

import math
from collections import namedtuple
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.memory import (
    gather,
    load,
    load_flags,
    load_rows3,
    load_rows4,
    look_up,
    scatter,
    store,
    store_rows,
)
from reconx_ros.splatting.cpu.simd import (
    absolute,
    any_set,
    fma,
    how_many,
    ramp,
    select,
    spread,
    square_root,
)
from reconx_ros.splatting.cpu.threads import KERNELS

CHUNK = 2048
"""Rows a thread takes at a time; a multiple of eight."""

LONGEST = 1 << 14
"""Steps after which the bias correction is taken to be over (0.999^16384 < 1e-7)."""


Decay = namedtuple("Decay", "beta1 beta2 eps")
"""float32 numbers."""

_LARGEST = np.finfo(np.float32).max


@njit(**INLINED)
def is_finite(x):
    """Return which lanes are finite."""
    return absolute(x) <= _LARGEST


@njit(**INLINED)
def _moved(old, old_m, old_v, gradient, active, step_size, bias2, decay):
    """Return eight numbers and their moments after a step, as they were where not ``active``."""
    one = np.float32(1)
    new_m = fma(decay.beta1, old_m, (one - decay.beta1) * gradient)
    new_v = fma(decay.beta2, old_v, (one - decay.beta2) * (gradient * gradient))
    new = old - step_size * new_m / (square_root(new_v) * bias2 + decay.eps)
    return select(active, new, old), select(active, new_m, old_m), select(active, new_v, old_v)


@njit(**INLINED)
def update(param, m, v, at, stride, gradient, active, step_size, bias2, decay):
    """Update the numbers at ``at``, ``at + stride``, ... by eight gradients where ``active``."""
    old, old_m, old_v = gather(param, at, stride), gather(m, at, stride), gather(v, at, stride)
    new, new_m, new_v = _moved(old, old_m, old_v, gradient, active, step_size, bias2, decay)
    scatter(m, at, stride, new_m)
    scatter(v, at, stride, new_v)
    scatter(param, at, stride, new)


@njit(**INLINED)
def update1(param, m, v, at, gradient, active, step_size, bias2, decay):
    """Update eight consecutive numbers where ``active``."""
    old, old_m, old_v = load(param, at), load(m, at), load(v, at)
    new, new_m, new_v = _moved(old, old_m, old_v, gradient, active, step_size, bias2, decay)
    store(m, at, new_m)
    store(v, at, new_v)
    store(param, at, new)


@njit(**INLINED)
def update3(param, m, v, at, by, active, rates, bias1, bias2, decay):
    """Update eight consecutive rows of three numbers where ``active``; a gradient and a rate for each."""
    o, p, q = load_rows3(param, at), load_rows3(m, at), load_rows3(v, at)
    x, mx, vx = _moved(o[0], p[0], q[0], by[0], active, rates[0] * bias1, bias2, decay)
    y, my, vy = _moved(o[1], p[1], q[1], by[1], active, rates[1] * bias1, bias2, decay)
    z, mz, vz = _moved(o[2], p[2], q[2], by[2], active, rates[2] * bias1, bias2, decay)
    store_rows(m, at, (mx, my, mz))
    store_rows(v, at, (vx, vy, vz))
    store_rows(param, at, (x, y, z))


@njit(**INLINED)
def update4(param, m, v, at, by, active, rates, bias1, bias2, decay):
    """Update eight consecutive rows of four numbers where ``active``."""
    o, p, q = load_rows4(param, at), load_rows4(m, at), load_rows4(v, at)
    w, mw, vw = _moved(o[0], p[0], q[0], by[0], active, rates[0] * bias1, bias2, decay)
    x, mx, vx = _moved(o[1], p[1], q[1], by[1], active, rates[1] * bias1, bias2, decay)
    y, my, vy = _moved(o[2], p[2], q[2], by[2], active, rates[2] * bias1, bias2, decay)
    z, mz, vz = _moved(o[3], p[3], q[3], by[3], active, rates[3] * bias1, bias2, decay)
    store_rows(m, at, (mw, mx, my, mz))
    store_rows(v, at, (vw, vx, vy, vz))
    store_rows(param, at, (w, x, y, z))


@njit(**INLINED)
def kept_rows(wanted, by):
    """Return the ``wanted`` lanes whose gradients are all finite."""
    kept = wanted
    for gradient in by:
        kept = kept & is_finite(gradient)
    return kept


@njit(**INLINED)
def _eight_rows(row, param, grad, m, v, visible, counts, rates, bias1, bias2, decay):
    """Update rows ``row`` to ``row + 7``; return how many were dropped."""
    width = len(rates)
    wanted = load_flags(visible, row) if len(visible) > 0 else ramp() >= np.float32(0)
    if not any_set(wanted):
        return 0
    if len(counts) > 1:
        first, second = look_up(bias1, counts, row), look_up(bias2, counts, row)
    else:
        step = min(counts[0], LONGEST)
        first, second = spread(bias1[step]), spread(bias2[step])
    at = row * width
    if width == 1:
        by = load(grad, at)
        kept = wanted & is_finite(by)
        update1(param, m, v, at, by, kept, rates[0] * first, second, decay)
    elif width == 3:
        by3 = load_rows3(grad, at)
        kept = kept_rows(wanted, by3)
        update3(param, m, v, at, by3, kept, rates, first, second, decay)
    elif width == 4:
        by4 = load_rows4(grad, at)
        kept = kept_rows(wanted, by4)
        update4(param, m, v, at, by4, kept, rates, first, second, decay)
    else:
        kept = wanted
        for k in range(width):
            kept = kept & is_finite(gather(grad, at + k, width))
        for k in range(width):
            by = gather(grad, at + k, width)
            update(param, m, v, at + k, width, by, kept, rates[k] * first, second, decay)
    return how_many(wanted) - how_many(kept)


@njit(**INLINED)
def _one_row(row, param, grad, m, v, visible, counts, rates, bias1, bias2, decay):
    """Do the same for one row."""
    width = len(rates)
    if len(visible) > 0 and not visible[row]:
        return 0
    for k in range(row * width, (row + 1) * width):
        if not np.isfinite(grad[k]):
            return 1
    one = np.float32(1)
    step = min(counts[row if len(counts) > 1 else 0], LONGEST)
    for k in range(width):
        i = row * width + k
        m[i] = decay.beta1 * m[i] + (one - decay.beta1) * grad[i]
        v[i] = decay.beta2 * v[i] + (one - decay.beta2) * grad[i] * grad[i]
        param[i] -= rates[k] * bias1[step] * m[i] / (np.sqrt(v[i]) * bias2[step] + decay.eps)
    return 0


@kernel(parallel=True)
def _step(param, grad, m, v, visible, counts, rates, bias1, bias2, beta1, beta2, eps, dropped):
    """Update contiguous arrays of ``len(rates)`` numbers a row; an empty mask means all rows."""
    rows = len(param) // len(rates)
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        decay, number = Decay(beta1, beta2, eps), 0
        start, end = chunk * CHUNK, min((chunk + 1) * CHUNK, rows)
        for row in range(start, end - 7, 8):
            number += _eight_rows(row, param, grad, m, v, visible, counts, rates, bias1, bias2, decay)
        for row in range(end - (end - start) % 8, end):
            number += _one_row(row, param, grad, m, v, visible, counts, rates, bias1, bias2, decay)
        dropped[chunk] = number


def adam_step(
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    step: int | Tensor,
    lr: float | Sequence[float],
    visible: Tensor | None = None,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-15,
) -> int:
    """Take one Adam step in place, with bias correction, as ``torch.optim.Adam`` does.

    Args:
        param: contiguous float32 CPU tensor, rows first.
        grad: gradient, like ``param``.
        m: first moment, like ``param``.
        v: second moment, like ``param``.
        step: 1 at the first step; or [rows] int32, the count of each row.
        lr: learning rate, or one for each number of a row.
        visible: [rows] bool; other rows and their moments stay as they are. None: all rows.
        betas: decay of the moments.
        eps: added to the square root of the second moment.

    Returns:
        Rows that were left as they are because their gradient is not finite.
    """
    flat = [_flat(tensor) for tensor in (param, grad, m, v)]
    mask = np.empty(0, np.bool_) if visible is None else visible.numpy()
    counts = np.array([step], np.int32) if isinstance(step, int) else step.numpy()
    width = math.prod(param.shape[1:])
    rates = np.broadcast_to(np.asarray(lr, np.float32), width).copy()
    dropped = np.zeros(len(param) // CHUNK + 1, np.int64)
    decays = (np.float32(beta) for beta in betas)
    with KERNELS:
        _step(*flat, mask, counts, rates, *bias_corrections(*betas), *decays, np.float32(eps), dropped)
    return int(dropped.sum())


@lru_cache(maxsize=4)
def bias_corrections(beta1: float, beta2: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t) for t = 0 (unused) to ``LONGEST``."""
    steps = np.maximum(np.arange(LONGEST + 1, dtype=np.float64), 1)
    first, second = 1 / (1 - beta1**steps), 1 / np.sqrt(1 - beta2**steps)
    return first.astype(np.float32), second.astype(np.float32)


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    if tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise ValueError(
            f"adam_step needs contiguous float32 tensors, not {tensor.dtype} {tensor.stride()}"
        )
    array: NDArray[np.float32] = tensor.detach().numpy().reshape(-1)
    return array
