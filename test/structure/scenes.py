"""Textured planes in closed form: what a pinhole camera sees of them, exactly."""

from dataclasses import dataclass

import torch
from torch import Tensor

HEIGHT, WIDTH = 48, 64
SIZE = (HEIGHT, WIDTH)
K = torch.tensor([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]], dtype=torch.float64)


@dataclass(frozen=True)
class Plane:
    """The points with normal·X = offset, within ``half`` of x and y = 0 where given."""

    normal: tuple[float, float, float] = (0, 0, 1)
    offset: float = 2.0
    half: float = float("inf")
    tint: float = 0.0


def texture(points: Tensor, tint: float) -> Tensor:
    """[3, ...] smooth colours in (0, 1) of world points [3, ...]."""
    x, y, z = points
    waves = [torch.sin(7 * x + 2 * z), torch.cos(6 * y - x), torch.sin(5 * (x + y) + 1)]
    return torch.stack([0.5 + 0.3 * wave for wave in waves]) * (1 - tint)


def pose(x: float = 0, y: float = 0, z: float = 0, yaw: float = 0) -> Tensor:
    angle = torch.tensor(yaw, dtype=torch.float64)
    c, s = angle.cos(), angle.sin()
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[0, 0], matrix[0, 2], matrix[2, 0], matrix[2, 2] = c, s, -s, c
    matrix[:3, 3] = torch.tensor([x, y, z], dtype=torch.float64)
    return matrix


def view(
    planes: list[Plane], world_from_camera: Tensor, size: tuple[int, int] = SIZE, k: Tensor = K
) -> tuple[Tensor, Tensor]:
    """Colour [3, H, W] and depth [1, H, W] (NaN where no plane is), float64, by intersecting rays."""
    rows, columns = torch.meshgrid(*(torch.arange(side).double() for side in size), indexing="ij")
    rays = torch.linalg.inv(k) @ torch.stack([columns, rows, torch.ones_like(rows)]).flatten(1)
    rotation, centre = world_from_camera[:3, :3], world_from_camera[:3, 3]
    directions = rotation @ rays
    nearest = torch.full_like(directions[0], torch.inf)
    color = torch.zeros_like(directions)
    for plane in planes:
        normal = torch.tensor(plane.normal, dtype=torch.float64)
        depth = (plane.offset - normal @ centre) / (normal @ directions)
        points = centre[:, None] + depth * directions
        inside = (points[:2].abs() <= plane.half).all(0) & (depth > 0) & (depth < nearest)
        nearest = torch.where(inside, depth, nearest)
        color = torch.where(inside, texture(points, plane.tint), color)
    depth = torch.where(torch.isfinite(nearest), nearest, torch.nan)
    return color.view(3, *size), depth.view(1, *size)


def clip(planes: list[Plane], references: list[Tensor], targets: list[Tensor]) -> dict[str, Tensor]:
    """Return the tensors of ``warp_references`` for one clip."""
    views = [view(planes, reference) for reference in references]
    return {
        "color": torch.stack([color for color, _ in views])[None].float(),
        "depth": torch.stack([depth for _, depth in views])[None].float(),
        "intrinsics": K.expand(1, len(references), 3, 3),
        "world_from_camera": torch.stack(references)[None],
        "target_intrinsics": K.expand(1, len(targets), 3, 3),
        "target_world_from_camera": torch.stack(targets)[None],
    }
