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
from reconx_ros.splatting.cpu.memory import gather, load, scatter, store
from reconx_ros.splatting.cpu.simd import absolute, any_set, fma, select, square_root
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
def update(param, m, v, at, stride, gradient, active, step_size, bias2, decay):
    """Update the numbers at ``at``, ``at + stride``, ... by eight gradients where ``active``."""
    one = np.float32(1)
    old_m, old_v, old = gather(m, at, stride), gather(v, at, stride), gather(param, at, stride)
    new_m = fma(decay.beta1, old_m, (one - decay.beta1) * gradient)
    new_v = fma(decay.beta2, old_v, (one - decay.beta2) * (gradient * gradient))
    new = old - step_size * new_m / (square_root(new_v) * bias2 + decay.eps)
    scatter(m, at, stride, select(active, new_m, old_m))
    scatter(v, at, stride, select(active, new_v, old_v))
    scatter(param, at, stride, select(active, new, old))


@njit(**INLINED)
def count_lanes(wanted, kept, lanes):
    """Return how many lanes are in ``wanted`` but not in ``kept``, given eight floats of scratch."""
    store(
        lanes, 0, select(wanted, np.float32(1), np.float32(0)) - select(kept, np.float32(1), np.float32(0))
    )
    number = 0
    for lane in range(8):
        number += int(lanes[lane])
    return number


@njit(**INLINED)
def corrections(counts, row, bias1, bias2, lanes):
    """Return the bias corrections of rows ``row`` to ``row + 7``, given eight floats of scratch."""
    for lane in range(8):
        lanes[lane] = bias1[min(counts[row + lane if len(counts) > 1 else 0], LONGEST)]
    first = load(lanes, 0)
    for lane in range(8):
        lanes[lane] = bias2[min(counts[row + lane if len(counts) > 1 else 0], LONGEST)]
    return first, load(lanes, 0)


@njit(**INLINED)
def _eight_rows(row, param, grad, m, v, visible, counts, rates, bias1, bias2, decay, lanes):
    """Update rows ``row`` to ``row + 7``; return how many were dropped."""
    width = len(rates)
    for lane in range(8):
        lanes[lane] = np.float32(len(visible) == 0 or visible[row + lane])
    wanted = load(lanes, 0) > np.float32(0)
    if not any_set(wanted):
        return 0
    kept = wanted
    for k in range(width):
        kept = kept & is_finite(gather(grad, row * width + k, width))
    first, second = corrections(counts, row, bias1, bias2, lanes)
    for k in range(width):
        at = row * width + k
        update(param, m, v, at, width, gather(grad, at, width), kept, rates[k] * first, second, decay)
    return count_lanes(wanted, kept, lanes)


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
        lanes, decay = np.zeros(8, np.float32), Decay(beta1, beta2, eps)
        number = 0
        start, end = chunk * CHUNK, min((chunk + 1) * CHUNK, rows)
        for row in range(start, end - 7, 8):
            number += _eight_rows(
                row, param, grad, m, v, visible, counts, rates, bias1, bias2, decay, lanes
            )
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
