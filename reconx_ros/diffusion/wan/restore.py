"""After decoding: colours matched to the render, and what was known put back.

The model repaints what it should keep, and its colours drift from frame to frame. Each decoded frame is
brought to the render by the affine law of ``structure/exposure.py``, estimated where the image is known.
"""

import torch
from torch import Tensor

from reconx_ros.structure.conditioning_render import ConditioningRender
from reconx_ros.structure.exposure import estimate_exposure
from reconx_ros.structure.uncertainty import hole_depth


def matched(decoded: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """Bring decoded frames to the colours of what is known of them.

    Args:
        decoded: [F, 3, H, W] in [0, 1].
        image: [F, 3, H, W] in [0, 1].
        known: [F, 1, H, W], 1 where ``image`` is known.

    Returns:
        [F, 3, H, W] in [0, 1]: every frame by its own gain and bias; by those of all frames where too
        little of it is known.
    """
    pair = torch.stack([image, decoded], 1)[None]
    both = known[:, None].expand(-1, 2, -1, -1, -1)[None]
    together = estimate_exposure(_views(pair, both))
    each = estimate_exposure(_views(pair.transpose(0, 1), both.transpose(0, 1)))
    own = each.matched[:, 1, None]
    gain, bias = (
        torch.where(own, mine[:, 1], ours[:, 1])[..., None, None]
        for mine, ours in ((each.gain, together.gain), (each.bias, together.bias))
    )
    return (decoded * gain + bias).clamp(0, 1)


def restored(generated: Tensor, image: Tensor, known: Tensor, feather: int) -> Tensor:
    """Put what is known back, fading over ``feather`` pixels to what was generated.

    With d the distance in pixels to the nearest unknown pixel, a known pixel has the weight
    min(1, d / (feather + 1)); in frames that are known throughout, 1.

    Args:
        generated: [F, 3, H, W].
        image: [F, 3, H, W].
        known: [F, 1, H, W], 1 where ``image`` is known.
        feather: pixels.
    """
    reach = feather + 1
    weight = known * hole_depth(1 - known, reach) / reach
    return weight * image + (1 - weight) * generated


def _views(color: Tensor, coverage: Tensor) -> ConditioningRender:
    """Return images [B, F, 2, 3, H, W] as two references that show the same surface where covered."""
    return ConditioningRender(color, coverage, coverage, coverage, torch.zeros_like(coverage))
