"""Farthest-point sampling: the queries spread over the cloud."""

import torch
from torch import Tensor


def farthest_points(points: Tensor, mask: Tensor, count: int) -> Tensor:
    """Choose ``count`` points, each the farthest from all chosen before.

    Deterministic, and (but for exact ties, where the lower index wins) independent of the order of the
    points: the first is the farthest from the mean. A cloud of fewer points than ``count`` repeats its
    first choice.

    Args:
        points: [B, P, 3], finite where valid.
        mask: [B, P] bool, false for padding; a cloud without valid points gives index 0.
        count: number of queries, at least 1.

    Returns:
        [B, count] int64 indices.
    """
    if points.device.type != "cpu":
        return farthest_points_batched(points, mask, count)
    from reconx_ros.structure.farthest_kernel import farthest_compiled  # noqa: PLC0415 - numba

    cloud = points.detach().contiguous().numpy()
    return torch.from_numpy(farthest_compiled(cloud, mask.numpy(), start(points, mask).numpy(), count))


def farthest_points_batched(points: Tensor, mask: Tensor, count: int) -> Tensor:
    """``farthest_points`` in torch operations only, for CUDA."""
    points = points.detach()
    chosen = start(points, mask)
    distance = torch.where(mask, torch.inf, -1.0).to(points.dtype)
    indices, first = [], chosen
    for _ in range(count):
        indices.append(chosen)
        centre = points.gather(1, chosen[:, None, None].expand(-1, 1, 3))
        squared = (points - centre).square().sum(-1)
        distance = torch.where(mask, torch.minimum(distance, squared), distance)
        # Every point chosen: what is farthest lies at distance 0.
        farthest = distance.max(dim=1)
        chosen = torch.where(farthest.values > 0, farthest.indices, first)
    return torch.stack(indices, dim=1)


def start(points: Tensor, mask: Tensor) -> Tensor:
    """Return [B] int64, the valid point farthest from the mean of the valid points."""
    points, weight = points.detach(), mask.to(points.dtype)[..., None]
    mean = (points * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp(min=1)
    squared = (points - mean).square().sum(-1)
    return torch.where(mask, squared, torch.full_like(squared, -1)).argmax(dim=1)
