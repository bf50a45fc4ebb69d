"""How uncertain each pixel of a partial image is: little where covered, more the deeper in a hole."""

import torch
from torch import Tensor
from torch.nn.functional import pad

COVERED_SHARE = 0.25
"""The part of [0, 1] that covered pixels take by their confidence; every hole lies above."""

REACH = 32
"""Pixels into a hole beyond which nothing is more uncertain."""


def uncertainty_map(coverage: Tensor, confidence: Tensor | None = None, reach: int = REACH) -> Tensor:
    """Return the uncertainty of each pixel in [0, 1].

    With s = ``COVERED_SHARE``, c the confidence and d the distance to the nearest covered pixel:
    s (1 − c) where covered, s + (1 − s) min(1, d / reach) in holes.

    Args:
        coverage: [..., H, W], above 0 where covered.
        confidence: like ``coverage``, in [0, 1]; 1 where not given.
        reach: pixels.
    """
    trust = torch.ones_like(coverage) if confidence is None else confidence
    depth = hole_depth(coverage, reach) / reach
    return torch.where(
        coverage > 0, COVERED_SHARE * (1 - trust), COVERED_SHARE + (1 - COVERED_SHARE) * depth
    )


def hole_depth(coverage: Tensor, reach: int = REACH) -> Tensor:
    """Return the Euclidean distance in pixels to the nearest covered pixel, at most ``reach``.

    Exact up to ``reach``: first the distance along each row, then, over all rows within reach, the
    least d² = dx² + dy² (Felzenszwalb & Huttenlocher's separation, by enumeration).

    Args:
        coverage: [..., H, W], above 0 where covered.
        reach: pixels.
    """
    height = coverage.shape[-2]
    along = _row_distance(coverage > 0, reach).to(coverage.dtype).square()
    padded = pad(along, (0, 0, reach, reach), value=float(reach**2))
    least = torch.full_like(along, float(reach**2))
    for away in range(-reach, reach + 1):
        rows = padded[..., reach + away : reach + away + height, :]
        least = torch.minimum(least, rows + away**2)
    return least.sqrt()


def _row_distance(covered: Tensor, reach: int) -> Tensor:
    """Distance in columns to the nearest covered pixel of the same row, at most ``reach``."""
    width = covered.shape[-1]
    column = torch.arange(width, device=covered.device).expand(covered.shape)
    last = torch.where(covered, column, -reach).cummax(dim=-1).values
    following = torch.where(covered, column, width + reach).flip(-1).cummin(dim=-1).values.flip(-1)
    return torch.minimum(column - last, following - column).clamp(max=reach)
