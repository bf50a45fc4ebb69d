"""What no Gaussian may become: a blob, a speck or a needle."""

import math

import numpy as np
import torch

from reconx_ros.splatting.config import LimitsConfig
from reconx_ros.splatting.gaussians import Floats


def scene_extent(means: Floats) -> float:
    """Return half the diagonal of the box that holds 90 % of ``means`` [N, 3] on each axis, over 0."""
    low, high = np.percentile(means, (5, 95), axis=0)
    return max(0.5 * float(np.linalg.norm(high - low)), 1e-3)


def scale_ceiling(log_scales: torch.Tensor, config: LimitsConfig, extent: float) -> torch.Tensor:
    """Return the largest log scale allowed [N, 1] for Gaussians that start as ``log_scales`` [N, 3].

    A Gaussian may always stay as large as it starts.
    """
    start = log_scales.detach().amax(dim=1, keepdim=True)
    grown = (start + math.log(config.max_growth)).clamp(max=math.log(config.max_scale * extent))
    return torch.maximum(start, grown)


def limit_scales(
    log_scales: torch.Tensor, ceiling: torch.Tensor, config: LimitsConfig, extent: float
) -> None:
    """Bring ``log_scales`` [N, 3] within the limits, in place."""
    torch.minimum(log_scales, ceiling, out=log_scales)
    middle = log_scales.median(dim=1, keepdim=True).values
    torch.minimum(log_scales, middle + math.log(config.max_anisotropy), out=log_scales)
    log_scales.clamp_(min=math.log(config.min_scale * extent))
