"""Adam (Kingma & Ba 2015) for all rows of a tensor, or for the visible ones only, in one pass."""

import math

import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.splatting.cpu.functions import PARALLEL
from reconx_ros.splatting.cpu.threads import KERNELS

CHUNK = 2048
"""Rows a thread takes at a time."""


@njit(**{**PARALLEL, "fastmath": {"contract", "arcp"}})
def _step(param, grad, m, v, visible, width, rate, beta1, beta2, eps, root):
    """Update contiguous arrays of ``width`` numbers a row; an empty mask means all rows."""
    one = np.float32(1)
    rows = len(param) // width
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        for row in range(chunk * CHUNK, min((chunk + 1) * CHUNK, rows)):
            if len(visible) == 0 or visible[row]:
                for k in range(row * width, (row + 1) * width):
                    g = grad[k]
                    m[k] = beta1 * m[k] + (one - beta1) * g
                    v[k] = beta2 * v[k] + (one - beta2) * g * g
                    param[k] -= rate * m[k] / (np.sqrt(v[k]) * root + eps)


def adam_step(
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    step: int,
    lr: float,
    visible: Tensor | None = None,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-15,
) -> None:
    """Take one Adam step in place, with bias correction, as ``torch.optim.Adam`` does.

    Args:
        param, grad, m, v: contiguous float32 CPU tensors of one shape, rows first.
        step: 1 at the first step.
        lr: learning rate.
        visible: [rows] bool; other rows and their moments stay as they are. None: all rows.
        betas: decay of the moments.
        eps: added to the square root of the second moment.
    """
    flat = [_flat(tensor) for tensor in (param, grad, m, v)]
    mask = np.empty(0, np.bool_) if visible is None else visible.numpy()
    width = max(1, param[0].numel()) if len(param) else 1
    rate = np.float32(lr / (1 - betas[0] ** step))
    root = np.float32(1 / math.sqrt(1 - betas[1] ** step))
    with KERNELS:
        _step(*flat, mask, width, rate, np.float32(betas[0]), np.float32(betas[1]), np.float32(eps), root)


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    if tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise ValueError(
            f"adam_step needs contiguous float32 tensors, not {tensor.dtype} {tensor.stride()}"
        )
    array: NDArray[np.float32] = tensor.detach().numpy().reshape(-1)
    return array
