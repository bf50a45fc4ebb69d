"""Fourier features of positions (3DShape2VecSet, section 4.2; NeRF)."""

import math

import torch
from torch import Tensor


def fourier_features(points: Tensor, frequencies: int) -> Tensor:
    """Return [..., 3·(2·frequencies + 1)] features of positions [..., 3].

    For each axis x and k = 0 … frequencies − 1: sin(2ᵏ π x), then for each cos(2ᵏ π x), then the
    position itself. Order: sin (axis by axis), cos (axis by axis), x, y, z.
    """
    scale = math.pi * 2.0 ** torch.arange(frequencies, device=points.device, dtype=points.dtype)
    angle = (points[..., None] * scale).flatten(-2)
    return torch.cat([angle.sin(), angle.cos(), points], dim=-1)


def feature_count(frequencies: int) -> int:
    """Return the number of features of ``fourier_features``."""
    return 3 * (2 * frequencies + 1)
