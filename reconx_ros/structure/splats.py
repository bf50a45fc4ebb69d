"""Splats: small planar patches that carry their own coordinates into a target image.

A splat has coordinates δ = (δ₁, δ₂) on its plane, |δᵢ| ≤ 1/2 inside. Its homogeneous image in the
target is affine in δ, and so is the numerator of its inverse depth:

    h(δ) = h₀ + H δ,   pixel = h_xy / h_z,   1 / depth = (r₀ + r·δ) / h_z.

This is the exact homography of the plane. For target pixel t the coordinates follow from

    (H_xy − t H_z) δ = t h_z − h_xy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Splats:
    """S splats in each of N target images.

    Attributes:
        table: [N, 12, S] float32: h₀ (3), H row by row (6), r₀ and r (3). A splat that must not be
            drawn has h₀_z ≤ 0.
    """

    table: Tensor

    def __len__(self) -> int:
        """Return N."""
        return int(self.table.shape[0])


def pack(origin: Tensor, slope: Tensor, inverse_depth: Tensor) -> Splats:
    """Build the table from h₀ [N, 3, S], H [N, 3, 2, S] and (r₀, r) [N, 3, S]."""
    return Splats(torch.cat([origin, slope.flatten(1, 2), inverse_depth], dim=1))


def only(splats: Splats, wanted: Tensor) -> Splats:
    """Return the splats with those that are not ``wanted`` [N, S] taken out of the drawing."""
    table = splats.table.clone()
    table[:, 2] = torch.where(wanted, table[:, 2], -1.0)
    return Splats(table)


def coordinates(rows: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluate splats at target pixels.

    Args:
        rows: [12, K] the table's columns of the splats.
        x: [K] target column of each.
        y: [K] target row of each.

    Returns:
        δ₁, δ₂ and the inverse depth, [K] each.
    """
    hx, hy, hz, xu, xv, yu, yv, zu, zv, r, ru, rv = rows
    a, b, c, d = xu - x * zu, xv - x * zv, yu - y * zu, yv - y * zv
    right_x, right_y = x * hz - hx, y * hz - hy
    determinant = a * d - b * c
    safe = torch.where(determinant.abs() < 1e-12, torch.full_like(determinant, 1e-12), determinant)
    u, v = (d * right_x - b * right_y) / safe, (a * right_y - c * right_x) / safe
    return u, v, (r + ru * u + rv * v) / (hz + zu * u + zv * v)


def magnification(rows: Tensor) -> Tensor:
    """Return the area |∂pixel/∂δ| in target pixels of one unit of δ, [K], for ``rows`` [12, K]."""
    hx, hy, hz, xu, xv, yu, yv, zu, zv, *_ = rows
    x, y = hx / hz, hy / hz
    a, b, c, d = xu - x * zu, xv - x * zv, yu - y * zu, yv - y * zv
    area: Tensor = (a * d - b * c).abs() / hz.square()
    return area
