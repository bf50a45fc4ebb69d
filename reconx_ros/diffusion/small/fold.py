"""Any number of references as the two layers that the model was trained on.

A pixel of a conditioning render may be shown by many references. The model blends two: the one that says
most about the pixel, and the one that says most beside it. With two references or fewer nothing is lost.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from reconx_ros.structure.composite import SAME_SURFACE
from reconx_ros.structure.conditioning_render import ConditioningRender

LAYERS = 2
HIDDEN, GUESSED, COVERED = 0.5, 1.0, 2.0
"""What a reference says about a pixel, before its confidence in [0, 1] is added to ``COVERED``."""


def order(render: ConditioningRender, layers: int = LAYERS) -> Tensor:
    """Return [B, F, layers, 1, H, W] int64, the best reference of each pixel first.

    Seen in front beats guessed, which beats seen behind another; ties go to the earlier reference.
    """
    covered = render.coverage > 0
    nearest = torch.where(covered, render.depth, torch.inf).amin(dim=2, keepdim=True)
    front = covered & (render.depth <= nearest * (1 + SAME_SURFACE))
    value = torch.where(front, COVERED + render.confidence, torch.where(covered, HIDDEN, 0.0))
    value = torch.where(render.guessed > 0, GUESSED, value)
    return value.sort(dim=2, descending=True, stable=True).indices[:, :, :layers]


def fold(render: ConditioningRender, chosen: Tensor) -> ConditioningRender:
    """Return the render with the references ``chosen`` for each pixel (``order``) as its only ones."""

    def taken(image: Tensor) -> Tensor:
        return image.gather(2, chosen.expand(*chosen.shape[:3], *image.shape[3:]))

    return replace(render.mapped(taken), exposure=None)


def widened(render: ConditioningRender, layers: int = LAYERS) -> ConditioningRender:
    """Return the render with references that show nothing added until there are ``layers``."""
    missing = max(layers - render.color.shape[2], 0)
    return replace(render.mapped(lambda image: pad(image, (0,) * 7 + (missing,))), exposure=None)
