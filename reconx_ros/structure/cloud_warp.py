"""A point cloud as one more reference: its points drawn as small oriented patches.

Point X with normal n and spacing s (distance to its neighbours) is a square patch spanned by tangents
e₁, e₂ of length s. In a target camera

    h(δ) = K (X_t + s (δ₁ e₁ + δ₂ e₂)),   1 / depth = 1 / h_z,

which is a splat (``splats.py``) like any other: nearer views enlarge it, the depth buffer removes what
lies behind, and points whose normal faces away are not drawn.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reconx_ros.geometry.protocol import PointCloud, map_confidence
from reconx_ros.structure.closing import close
from reconx_ros.structure.sampling import CLOSED
from reconx_ros.structure.splats import Splats, coordinates, magnification, pack
from reconx_ros.structure.warp import Warp
from reconx_ros.structure.zbuffer import draw

OVERLAP = 1.3
"""Patches this much wider than the spacing close an irregular sampling."""


@dataclass(frozen=True, eq=False)
class CloudBatch:
    """B clouds of up to P points.

    Attributes:
        points: [B, P, 3] in the world.
        color: [B, P, 3] RGB in [0, 1].
        normals: [B, P, 3] unit, away from the surface; 0 where unknown (the patch faces the camera).
        spacing: [B, P] distance to the neighbouring points; 0 marks padding.
        confidence: [B, P] in [0, 1].
    """

    points: Tensor
    color: Tensor
    normals: Tensor
    spacing: Tensor
    confidence: Tensor

    @classmethod
    def of(cls, cloud: PointCloud, device: str = "cpu") -> "CloudBatch":
        """Take one cloud; the spacing is the mean distance to the three nearest neighbours."""
        from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

        # The first of four is the point itself.
        distance, _ = cKDTree(cloud.points).query(cloud.points, k=[1, 2, 3, 4])
        near = np.isfinite(distance) & (np.arange(4) > 0)
        spacing = np.where(near, distance, 0).sum(axis=1) / np.maximum(near.sum(axis=1), 1)
        columns = (cloud.points, cloud.colors / 255.0, np.nan_to_num(cloud.normals), spacing)
        arrays = (*columns, map_confidence(cloud.confidence))
        return cls(*(torch.from_numpy(np.asarray(each, np.float32))[None].to(device) for each in arrays))


def warp_cloud(
    clouds: CloudBatch,
    which: Tensor,
    intrinsics: Tensor,
    world_from_camera: Tensor,
    size: tuple[int, int],
) -> Warp:
    """Draw cloud ``which[n]`` into camera n.

    Args:
        clouds: B of them.
        which: [N] int64.
        intrinsics: [N, 3, 3].
        world_from_camera: [N, 4, 4].
        size: height and width.
    """
    splats = patches(clouds, which, intrinsics, world_from_camera)
    index, closed = close(splats, draw(splats, size), size)
    image, place = torch.nonzero(index >= 0, as_tuple=True)
    point, cloud = index[image, place], which[image]
    rows = splats.table[image, :, point].T
    depth = 1 / coordinates(rows, (place % size[1]).float(), (place // size[1]).float())[2]
    confidence = clouds.confidence[cloud, point] * magnification(rows).clamp(min=1).rsqrt()
    confidence = confidence * torch.where(closed[image, place], CLOSED, 1.0)
    values = torch.stack([torch.ones_like(depth), depth, confidence], dim=1)
    canvas = torch.zeros(*index.shape, 6, device=index.device)
    canvas[image, place] = torch.cat([clouds.color[cloud, point], values], dim=1)
    layers = canvas.transpose(1, 2).reshape(-1, 6, *size)
    return Warp(
        layers[:, :3], layers[:, 3:4], layers[:, 4:5], layers[:, 5:6], torch.zeros_like(layers[:, :1])
    )


def patches(clouds: CloudBatch, which: Tensor, intrinsics: Tensor, world_from_camera: Tensor) -> Splats:
    """Return the splats of all points of cloud ``which[n]`` in camera n."""
    camera_from_world = torch.linalg.inv(world_from_camera.double()).float()
    rotation, shift = camera_from_world[:, :3, :3], camera_from_world[:, :3, 3:]
    local = rotation @ clouds.points[which].transpose(1, 2) + shift
    normal = rotation @ clouds.normals[which].transpose(1, 2)
    spacing = clouds.spacing[which][:, None]
    first, second = _tangents(normal)
    k = intrinsics.float()
    slope = torch.stack([k @ first, k @ second], dim=2) * (OVERLAP * spacing)[:, :, None]
    origin = k @ local
    origin[:, 2] = torch.where(spacing[:, 0] > 0, origin[:, 2], -1.0)
    flat = torch.zeros_like(origin)
    flat[:, 0] = 1
    return pack(origin, slope.flatten(1, 2).view(len(which), 3, 2, -1), flat)


def _tangents(normal: Tensor) -> tuple[Tensor, Tensor]:
    """Return e₁, e₂ [N, 3, P] with e₁ × e₂ = −n, so that a patch that faces the camera has det J > 0."""
    away = torch.tensor([0.0, 0.0, -1.0], device=normal.device)[:, None].expand_as(normal)
    length = normal.norm(dim=1, keepdim=True)
    unit = torch.where(length > 0.5, normal / length.clamp(min=0.5), away)
    down = torch.tensor([0.0, 1.0, 0.0], device=normal.device)[:, None].expand_as(normal)
    right = torch.tensor([1.0, 0.0, 0.0], device=normal.device)[:, None].expand_as(normal)
    helper = torch.where(unit[:, 1:2].abs() < 0.9, down, right)
    first = torch.linalg.cross(helper, -unit, dim=1)
    first = first / first.norm(dim=1, keepdim=True)
    return first, torch.linalg.cross(-unit, first, dim=1)
