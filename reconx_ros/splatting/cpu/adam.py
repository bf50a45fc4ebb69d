"""Adam (Kingma & Ba 2015) for all rows of a tensor, or for the visible ones only, in one pass."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.splatting.cpu.compilation import kernel
from reconx_ros.splatting.cpu.threads import KERNELS

CHUNK = 2048
"""Rows a thread takes at a time."""

LONGEST = 1 << 14
"""Steps after which the bias correction is taken to be over (0.999^16384 < 1e-7)."""


@kernel(parallel=True, fastmath={"contract", "arcp"})
def _step(param, grad, m, v, visible, counts, rates, bias1, bias2, beta1, beta2, eps, dropped):
    """Update contiguous arrays of ``len(rates)`` numbers a row; an empty mask means all rows."""
    one = np.float32(1)
    width = len(rates)
    rows = len(param) // width
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        dropped[chunk] = 0
        for row in range(chunk * CHUNK, min((chunk + 1) * CHUNK, rows)):
            if len(visible) > 0 and not visible[row]:
                continue
            finite = True
            for k in range(row * width, (row + 1) * width):
                finite &= np.isfinite(grad[k])
            if not finite:
                dropped[chunk] += 1
                continue
            step = min(counts[row if len(counts) > 1 else 0], LONGEST)
            for k in range(width):
                i = row * width + k
                g = grad[i]
                m[i] = beta1 * m[i] + (one - beta1) * g
                v[i] = beta2 * v[i] + (one - beta2) * g * g
                param[i] -= rates[k] * bias1[step] * m[i] / (np.sqrt(v[i]) * bias2[step] + eps)


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
    width = max(1, param[0].numel()) if len(param) else 1
    rates = np.broadcast_to(np.asarray(lr, np.float32), width).copy()
    dropped = np.zeros(len(param) // CHUNK + 1, np.int64)
    decays = (np.float32(beta) for beta in betas)
    with KERNELS:
        _step(*flat, mask, counts, rates, *_corrections(*betas), *decays, np.float32(eps), dropped)
    return int(dropped.sum())


@lru_cache(maxsize=4)
def _corrections(beta1: float, beta2: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
