"""Examples in other guises: mirrored, references exchanged, colours permuted and scaled."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator

from reconx_ros.diffusion.training.records import Example
from reconx_ros.structure.exposure import Exposure


def augmented(example: Example, generator: Generator) -> Example:
    """Return the batch, mirrored, exchanged and recoloured as ``generator`` says."""
    coins = torch.rand(2, generator=generator) < 0.5
    if coins[0]:
        example = mirrored(example)
    if coins[1]:
        count = example.reference_color.shape[1]
        example = exchanged(example, list(range(count))[::-1])
    return recolored(example, torch.randperm(3, generator=generator).tolist())


def mirrored(example: Example) -> Example:
    """Return the scene as in a mirror: left and right exchanged, in images and poses."""
    turn = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
    intrinsics = example.intrinsics.clone()
    intrinsics[:, 0, 2] = example.truth.shape[-1] - 1 - intrinsics[:, 0, 2]
    return replace(
        example,
        render=example.render.mapped(lambda image: image.flip(-1)),
        reference_color=example.reference_color.flip(-1),
        reference_depth=example.reference_depth.flip(-1),
        intrinsics=intrinsics,
        reference_pose=turn @ example.reference_pose @ turn,
        target_pose=turn @ example.target_pose @ turn,
        truth=example.truth.flip(-1),
    )


def exchanged(example: Example, order: Sequence[int]) -> Example:
    """Return the references in another order."""
    rows, exposure = list(order), example.exposure
    return replace(
        example,
        render=example.render.mapped(lambda image: image[:, :, rows]),
        exposure=Exposure(exposure.gain[:, rows], exposure.bias[:, rows], exposure.matched[:, rows]),
        reference_color=example.reference_color[:, rows],
        reference_depth=example.reference_depth[:, rows],
        reference_pose=example.reference_pose[:, rows],
    )


def recolored(example: Example, order: Sequence[int]) -> Example:
    """Return the colour channels in another order."""
    rows = list(order)
    exposure = example.exposure
    return replace(
        example,
        render=replace(example.render, color=example.render.color[:, :, :, rows]),
        exposure=Exposure(exposure.gain[..., rows], exposure.bias[..., rows], exposure.matched),
        reference_color=example.reference_color[:, :, rows],
        truth=example.truth[:, :, rows],
    )
