"""The frame that points are encoded in.

Coordinates are those of the first reference camera, moved and scaled so that the cloud has mean 0 and
RMS radius 1/2:

    p_n = (R_cᵀ (p − t_c) − m) / (2 σ),   m = mean,   σ = sqrt(mean |R_cᵀ (p − t_c) − m|²).

Why: the world's origin, heading and unit are accidents of odometry, and a network must not have to
learn every one of them. In the camera's frame, right, down and forward mean the same in every clip,
which gravity or principal axes would not give for a hand-held camera. Scaled so, nearly all points
lie in [−1, 1], where the Fourier features (``fourier.py``) are injective at their lowest frequency.
"""

import torch
from torch import Tensor

SMALLEST_RADIUS = 1e-6
"""World units; a cloud of a single point keeps its size."""


def normalised_from_world(points: Tensor, mask: Tensor, world_from_camera: Tensor) -> Tensor:
    """Return the similarity [B, 4, 4] that takes world points into the frame described above.

    Args:
        points: [B, P, 3] in the world.
        mask: [B, P] bool, false for padding.
        world_from_camera: [B, 4, 4] of the first reference camera.
    """
    camera_from_world = torch.linalg.inv(world_from_camera.double())
    local = transform(camera_from_world, points.double())
    weight = mask.double()[..., None]
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (local.nan_to_num() * weight).sum(dim=1, keepdim=True) / count
    square = ((local.nan_to_num() - mean).square() * weight).sum(dim=(1, 2)) / count[:, 0, 0]
    radius = square.sqrt()
    scale = torch.where(radius > SMALLEST_RADIUS, 1 / (2 * radius.clamp(min=SMALLEST_RADIUS)), 1.0)
    centred: Tensor = camera_from_world.clone()
    centred[:, :3, 3] -= mean[:, 0]
    centred[:, :3] *= scale[:, None, None]
    return centred


def transform(matrix: Tensor, points: Tensor) -> Tensor:
    """Apply [B, 4, 4] to [B, P, 3]."""
    return points @ matrix[:, :3, :3].transpose(1, 2) + matrix[:, None, :3, 3]
