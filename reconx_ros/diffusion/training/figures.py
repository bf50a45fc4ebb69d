"""What PSNR does not say of a fill: SSIM, FLIP, how sharp it is, how steady from frame to frame.

PSNR in deep holes rewards blur. Sharpness is the gradient energy in a region over that of the truth: 1
for as much detail as there is, right or wrong, near 0 for a smooth fill. Steadiness is the mean absolute
difference between a frame warped into the next one by the true depth and that next frame; the truth has
one too (reflections, noise, resampling), below which nobody can be expected to fall.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.diffusion.training.contest import FEWEST, Floats, Outcome
from reconx_ros.evaluation.flip import flip_map
from reconx_ros.evaluation.metrics import ssim_map
from reconx_ros.simulation.clips import Clip
from reconx_ros.structure.conditioning import warp_references

REGIONS = ("holes", "covered")
TRUTH = "truth"
Table = dict[str, dict[str, Floats]]
"""Region → contender → figures [B, F], NaN where the region is too small."""

Maps = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Figures:
    """Of the contenders of one outcome.

    Attributes:
        ssim: mean structural similarity over a region.
        flip: mean FLIP over a region; less is better.
        energy: Σ |∇ image|² over a region, the truth among the contenders.
    """

    ssim: Table
    flip: Table
    energy: Table


def figures_of(outcome: Outcome, truth: Tensor) -> Figures:
    """Measure every contender against ``truth`` [B, F, 3, h, w]."""
    images = {**outcome.images, TRUTH: truth}
    energy = {name: _gradient(image) for name, image in images.items()}
    return Figures(
        _regional({name: _mapped(ssim_map, each, truth) for name, each in outcome.images.items()}, outcome),
        _regional({name: _mapped(flip_map, each, truth) for name, each in outcome.images.items()}, outcome),
        _regional(energy, outcome),
    )


def unsteadiness(outcome: Outcome, clip: Clip) -> Table:
    """Return how much each contender, and the truth, changes between frames that follow each other.

    Args:
        outcome: of ``clip`` alone, B = 1.
        clip: its F ≥ 2 targets follow each other in time.

    Returns:
        Figures [1, F − 1] of colours in [0, 1], over pixels of the later frame whose surface the earlier
        one shows; in holes no reference shows it.
    """
    truth = torch.from_numpy(clip.target_color).permute(0, 3, 1, 2)[None]
    images = {**outcome.images, TRUTH: truth}
    covered = outcome.covered[:, 1:]
    table: Table = {region: {} for region in REGIONS}
    for name, image in images.items():
        before, shown = warped_on(image[0], clip)
        change = (before - image[0, 1:]).abs().mean(1, keepdim=True)[None]
        table["holes"][name] = _mean(change, shown[None] * (1 - covered))
        table["covered"][name] = _mean(change, shown[None] * covered)
    return table


def warped_on(frames: Tensor, clip: Clip) -> tuple[Tensor, Tensor]:
    """Warp each of F frames [F, 3, h, w] but the last into the next one's camera by the true depth.

    Returns:
        Frames [F − 1, 3, h, w], and masks [F − 1, 1, h, w] of the pixels that they show.
    """
    count, size = len(frames) - 1, (frames.shape[-2], frames.shape[-1])
    k = torch.from_numpy(clip.intrinsics).expand(count, 1, 3, 3)
    poses = torch.from_numpy(clip.target_world_from_camera)[:, None]
    depth = torch.from_numpy(clip.target_depth)[:-1, None, None]
    render = warp_references(frames[:-1, None], depth, k, poses[:-1], k, poses[1:], size)
    return render.color[:, 0, 0], render.coverage[:, 0, 0]


def _gradient(image: Tensor) -> Tensor:
    """Return |∇ image|² [B, F, 1, h, w], the mean over channels; forward differences, 0 at the border."""
    energy = torch.zeros_like(image[:, :, :1])
    energy[..., :, :-1] += image.diff(dim=-1).square().mean(2, keepdim=True)
    energy[..., :-1, :] += image.diff(dim=-2).square().mean(2, keepdim=True)
    return energy


def _mapped(measure: Maps, image: Tensor, truth: Tensor) -> Tensor:
    """Return the maps [B, F, 1, h, w] of a measure of two pictures."""
    pairs = zip(*(each.flatten(0, 1).permute(0, 2, 3, 1).numpy() for each in (image, truth)), strict=True)
    maps = np.stack([measure(mine, true) for mine, true in pairs]).astype(np.float32)
    return torch.from_numpy(maps).view(*image.shape[:2], 1, *image.shape[-2:])


def _regional(maps: dict[str, Tensor], outcome: Outcome) -> Table:
    areas = {"holes": 1 - outcome.covered, "covered": outcome.covered}
    return {
        region: {name: _mean(each, area) for name, each in maps.items()} for region, area in areas.items()
    }


def _mean(values: Tensor, area: Tensor) -> Floats:
    count = area.sum((-3, -2, -1))
    mean = (values * area).sum((-3, -2, -1)) / count.clamp(min=1)
    return torch.where(count >= FEWEST, mean, torch.nan).double().numpy()
