"""Volume, aggregation and winner of one view on a torch device."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo.tensor.semi_global import aggregate
from reconx_ros.geometry.stereo.tensor.volume import cost_volume
from reconx_ros.geometry.stereo.tensor.winner import choose_winner
from reconx_ros.geometry.stereo.volume import LEVELS
from reconx_ros.geometry.stereo.winner import Winner

Floats = NDArray[np.float32]


@torch.inference_mode()
def match(
    image: Floats,
    others: Sequence[Floats],
    transfers: Floats,
    planes: Floats,
    config: PlaneSweepConfig,
    device: str,
) -> Winner:
    """Return the winner of every pixel; arguments as of ``stereo.volume.cost_volume``.

    Raises:
        torch.OutOfMemoryError: the volume does not fit the device.
    """
    grey, carry, depths = (torch.as_tensor(array, device=device) for array in (image, transfers, planes))
    near = [torch.as_tensor(other, device=device) for other in others]
    volume = cost_volume(grey, near, carry, depths, config.window // 2, config.noise, config.best_share)
    total = aggregate(volume, grey, config.small_step * LEVELS, config.large_step * LEVELS, config.edge)
    inverse, least, margin = (part.cpu().numpy() for part in choose_winner(volume, total, depths))
    return Winner(inverse, least, margin)
