"""One image of a conditioning render: what the fills that learn nothing start from."""

import torch
from torch import Tensor

from reconx_ros.structure.conditioning_render import ConditioningRender

SAME_SURFACE = 0.05
"""References this much (relative) behind the nearest show something that is hidden."""


def composite(render: ConditioningRender, preference: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Blend the references: hidden ones dropped, the others by confidence times preference.

    What is guessed shows only where no reference covers; ``render.measured()`` leaves it out.

    Args:
        render: with colours matched, or seams show.
        preference: [B, F, R] ≥ 0, such as the nearness in time of each reference; equal where not given.

    Returns:
        image [B, F, 3, H, W], 0 where nothing is shown, and mask [B, F, 1, H, W], 1 where something is.
    """
    covered = render.coverage.amax(dim=2, keepdim=True)
    shown = render.coverage + render.guessed * (1 - covered)
    depth = torch.where(shown > 0, render.depth, torch.inf)
    visible = depth <= depth.amin(dim=2, keepdim=True) * (1 + SAME_SURFACE)
    weight = (render.confidence + 1e-3) * shown * visible
    if preference is not None:
        weight = weight * (preference[..., None, None, None] + 1e-6)
    image = (render.color * weight).sum(dim=2) / weight.sum(dim=2).clamp(min=1e-12)
    return image, shown.amax(dim=2)


def front_depth(render: ConditioningRender) -> tuple[Tensor, Tensor]:
    """Return the depth of the nearest covered surface and a mask of where there is one, [B, F, 1, H, W]."""
    depth = torch.where(render.coverage > 0, render.depth, torch.inf).amin(dim=2)
    known = torch.isfinite(depth)
    return torch.where(known, depth, 0.0), known.to(depth.dtype)
