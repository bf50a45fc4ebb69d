"""Who fills best: the model against fills that learn nothing, in dB, in holes and covered pixels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.clouds import PointNetwork
from reconx_ros.diffusion.small.load import scheduler_of
from reconx_ros.diffusion.small.network import SmallNetwork
from reconx_ros.diffusion.small.observation import Observation, middle_exposure
from reconx_ros.diffusion.small.sampling import AS_TRAINED, sample
from reconx_ros.diffusion.training.inputs import observation_of, points_of
from reconx_ros.diffusion.training.records import Example
from reconx_ros.structure.composite import composite
from reconx_ros.structure.encoder import StructureTokens
from reconx_ros.structure.fills import FILLS

FEWEST = 100
"""Pixels of a region below which a frame says nothing about it."""

FLOOR = 1e-6
MODEL, GUESSED = "model", "push-pull, guessed depth"
WITHOUT_STRUCTURE = "model, without structure"
Floats = NDArray[np.float64]
Predictor = Callable[[Observation, StructureTokens | None], Tensor]
"""From an observation and its structure to frames [B, F, 3, h, w]."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What each contender got on the frames of one example.

    Attributes:
        images: contender → [B, F, 3, h, w] in [0, 1].
        covered: [B, F, 1, h, w], 1 where a reference shows the pixel with measured depth.
        holes_db: contender → [B, F] PSNR in the holes, NaN where they are too few.
        covered_db: contender → [B, F] likewise in covered pixels.
    """

    images: dict[str, Tensor]
    covered: Tensor
    holes_db: dict[str, Floats]
    covered_db: dict[str, Floats]


def contest(
    model: SmallNetwork | None,
    example: Example,
    encoder: PointNetwork | None = None,
    ways: Mapping[str, Predictor] | None = None,
) -> Outcome:
    """Let the model and the fills predict the example's frames.

    The fills start from the composite of what was measured, at the references' middle exposure, with
    overscan; one more starts, as the model does, from guessed depths too.

    Args:
        model: that answers in one step; ``None`` leaves it out.
        example: B clips of F frames.
        encoder: of the structure; ``None`` leaves that branch out.
        ways: more contenders by name, such as those of ``ways_of``.
    """
    with torch.no_grad():
        render = example.render.exposed(middle_exposure(example.exposure))
        image, mask = (part.flatten(0, 1) for part in composite(render.measured()))
        found = {name: fill(image, mask).view_as(render.color[:, :, 0]) for name, fill in FILLS.items()}
        seen = observation_of(example)
        found[GUESSED] = seen.base
        images = {name: cropped(each, render.margin).clamp(0, 1) for name, each in found.items()}
        luck = torch.Generator().manual_seed(0)
        tokens = (
            None if encoder is None else encoder(points_of(example), example.reference_pose[:, 0], luck)
        )
        if model is not None:
            images[MODEL] = model(seen, tokens).image.clamp(0, 1)
        for name, predict in (ways or {}).items():
            images[name] = predict(seen, tokens).clamp(0, 1)
    covered = cropped(example.render.coverage.amax(2), render.margin)
    holes_db = {name: decibels(each, example.truth, 1 - covered) for name, each in images.items()}
    covered_db = {name: decibels(each, example.truth, covered) for name, each in images.items()}
    return Outcome(images, covered, holes_db, covered_db)


def ways_of(model: SmallNetwork, steps: tuple[int, ...], structure: bool) -> dict[str, Predictor]:
    """Return the other ways to ask the model: samples of some steps, and the mean without structure.

    Args:
        model: with or without a structure branch.
        steps: of the flow, one sampler for each; the noise is always the same.
        structure: whether the model has tokens to do without.
    """
    flow = scheduler_of()

    def sampler(count: int) -> Predictor:
        def draw(seen: Observation, tokens: StructureTokens | None) -> Tensor:
            noise = torch.randn(seen.base.shape, generator=torch.Generator().manual_seed(0))
            done = sample(model, flow(), seen, tokens, noise.to(seen.base), count, AS_TRAINED)
            if done is None:  # only where someone asks to stop, and nobody does
                raise AssertionError
            return done.image

        return draw

    def without(seen: Observation, _: StructureTokens | None) -> Tensor:
        image: Tensor = model(seen, None).image
        return image

    ways: dict[str, Predictor] = {f"{MODEL}, {count} steps": sampler(count) for count in steps}
    return ways | ({WITHOUT_STRUCTURE: without} if structure else {})


def decibels(image: Tensor, truth: Tensor, region: Tensor) -> Floats:
    """Return the PSNR [B, F] of images over regions, NaN where a region has fewer than ``FEWEST`` pixels.

    Args:
        image: [B, F, 3, h, w].
        truth: like ``image``.
        region: [B, F, 1, h, w], 1 inside.
    """
    count = region.sum((-3, -2, -1))
    square = ((image - truth).square().mean(-3, keepdim=True) * region).sum((-3, -2, -1))
    value = -10 * torch.log10(square / count.clamp(min=1) + FLOOR)
    return torch.where(count >= FEWEST, value, torch.nan).double().numpy()
