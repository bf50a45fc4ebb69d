"""The depth of pixels that nothing shows: a surface continued from what is known around them."""

import torch
from torch import Tensor

from reconx_ros.structure.fills import push_pull


def guessed_depth(depth: Tensor, known: Tensor) -> Tensor:
    """Fill depth images by push-pull of inverse depth, which is linear over the image of a plane.

    Args:
        depth: [B, 1, H, W] along the optical axis, above 0 where known.
        known: [B, 1, H, W], 1 where known, else 0.

    Returns:
        [B, 1, H, W]; as given where known, NaN in an image where nothing is known.
    """
    inverse = torch.where(known > 0, 1 / depth.clamp(min=1e-6), 0.0)
    filled = 1 / push_pull(inverse, known).clamp(min=1e-6)
    nothing = known.amax(dim=(2, 3), keepdim=True) == 0
    return torch.where(known > 0, depth, filled).masked_fill(nothing, torch.nan)
