"""The surface a depth image shows, pixel by pixel: inverse depth and its slope.

On a plane, inverse depth ρ = 1/d is affine in pixel coordinates, ρ(u + δ) = ρ + ∇ρ·δ. A pixel's ∇ρ is
the mean over its 3×3 neighbourhood of central differences, and only neighbours on the same surface
take part: a depth edge stays an edge. Depends on the reference alone, not on the target.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from reconx_ros.structure.fills import push_pull

EDGE = 0.05
"""Relative depth difference between neighbouring pixels beyond which they are two surfaces."""

NEIGHBOURS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


@dataclass(frozen=True, eq=False)
class ReferenceSurface:
    """Inverse depth with slope.

    Attributes:
        inverse_depth: [M, 1, H, W], 0 where unknown.
        slope: [M, 2, H, W] (∂ρ/∂x, ∂ρ/∂y) per pixel, 0 where unknown.
        edge: [M, 1, H, W] bool, whether one of the eight neighbours is another surface.
    """

    inverse_depth: Tensor
    slope: Tensor
    edge: Tensor


def reference_surface(depth: Tensor) -> ReferenceSurface:
    """Return the surface of a depth image.

    Args:
        depth: [M, 1, H, W] along the optical axis; unknown where NaN, infinite or not above 0.
    """
    known = torch.isfinite(depth) & (depth > 0)
    inverse = torch.where(known, 1 / torch.where(known, depth, 1.0), 0.0)
    right, down = _difference(inverse, 0, 1), _difference(inverse, 1, 0)
    along_x = _central(*right, _shift(right[0], 0, -1), _shift(right[1], 0, -1))
    along_y = _central(*down, _shift(down[0], -1, 0), _shift(down[1], -1, 0))
    slope = torch.cat([along_x, along_y], dim=1)
    total, count = slope.clone(), known.to(depth.dtype)
    edge = torch.zeros_like(known)
    for y, x in NEIGHBOURS:
        other = _shift(inverse, y, x)
        same = known & same_surface(inverse, other)
        total = total + _shift(slope, y, x) * same
        count = count + same.to(depth.dtype)
        edge = edge | (known & (other > 0) & ~same)
    return ReferenceSurface(inverse, total / count.clamp(min=1), edge)


def guessed_surface(depth: Tensor) -> ReferenceSurface:
    """Return the surface with the unknown depths guessed from their surroundings.

    Inverse depth is filled by the push-pull pyramid (``fills.py``). Where the fill jumps by more than
    ``EDGE`` a pixel, it spans two surfaces and says nothing: such pixels stay unknown. Where depth was
    measured, nothing changes: not the slope, and not what counts as an edge.
    """
    measured = reference_surface(depth)
    known = measured.inverse_depth > 0
    full = push_pull(measured.inverse_depth, known.to(depth.dtype))
    complete = reference_surface(
        torch.where(known.flatten(1).any(1)[:, None, None, None], 1 / full, torch.nan)
    )
    smooth = torch.where(complete.edge, 0.0, complete.inverse_depth)
    return ReferenceSurface(
        torch.where(known, measured.inverse_depth, smooth),
        torch.where(known, measured.slope, complete.slope),
        measured.edge,
    )


def same_surface(first: Tensor, second: Tensor) -> Tensor:
    """Whether two inverse depths differ by no more than ``EDGE``; never where one is unknown (0)."""
    near = torch.maximum(first, second)
    return ((first - second).abs() <= EDGE * near) & (torch.minimum(first, second) > 0)


def _shift(image: Tensor, y: int, x: int) -> Tensor:
    """Return the image whose pixel (row, column) is the old (row + y, column + x), 0 outside."""
    height, width = image.shape[-2:]
    padded = pad(image, (1, 1, 1, 1))
    return padded[..., 1 + y : 1 + y + height, 1 + x : 1 + x + width]


def _difference(inverse: Tensor, y: int, x: int) -> tuple[Tensor, Tensor]:
    """Forward difference toward a neighbour, and 1 where it is on the same surface, else 0."""
    other = _shift(inverse, y, x)
    same = same_surface(inverse, other).to(inverse.dtype)
    return (other - inverse) * same, same


def _central(ahead: Tensor, has_ahead: Tensor, behind: Tensor, has_behind: Tensor) -> Tensor:
    return (ahead + behind) / (has_ahead + has_behind).clamp(min=1)
