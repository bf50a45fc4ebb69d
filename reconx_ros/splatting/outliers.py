"""Pixels that a view shows and the map does not come to show: they count less, for they may be wrong."""

from dataclasses import replace

import torch
from torch.nn import functional

from reconx_ros.splatting.loss import Target

BLOCK = 4
"""Pixels across which errors are averaged: what is wrong comes in patches, what is fine in lines."""

LEAST = 1e-3
"""Least median error: a map may come to show a view as it is."""

AFTER = 0.3
"""Share of the schedule after which a map is near enough to the views for that to tell."""


@torch.no_grad()
def trusted(color: torch.Tensor, target: Target, limit: float) -> Target:
    """Return ``target`` with less weight where the map is far from it.

    The pixels of a block whose mean colour error is e have their weights times ``min(1, limit m / e)``,
    where m is the median of e over the blocks that have weight. L1 alone pulls alike however far it is off;
    beyond the limit the pull falls with the distance (a redescending estimator, by reweighting).

    Args:
        color: [H, W, 3] as rendered, developed for the view.
        target: the view.
        limit: in median errors.
    """
    error = _by_block((color.detach() - target.image).abs().mean(dim=-1))
    known = _by_block(target.weight) > 0
    if not bool(known.any()):
        return target
    median = error[known].median().clamp(min=LEAST)
    share = (limit * median / error).clamp(max=1)
    rows, columns = target.weight.shape
    wide = share.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]
    return replace(target, weight=target.weight * wide)


def _by_block(image: torch.Tensor) -> torch.Tensor:
    """Return the means of an image [H, W] over its blocks; those at the far borders may be smaller."""
    return functional.avg_pool2d(image[None], BLOCK, ceil_mode=True)[0]
