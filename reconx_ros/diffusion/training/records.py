"""A training clip with its conditioning render, small enough to keep thousands on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from reconx_ros.simulation.clips import Clip
from reconx_ros.structure.conditioning import ConditioningRender, warp_references
from reconx_ros.structure.exposure import Exposure, estimate_exposure

OVERSCAN = 0.25
EXPOSURE_STRIDE = 3
"""Every so many rows and columns of a warp are looked at when exposures are matched."""

Record = dict[str, Tensor]
"""One clip without batch dimension; colours, confidences and states are bytes, depths are halves."""

PER_FRAME = ("color", "state", "depth", "confidence", "target_pose", "truth", "extrapolated")
"""Entries of a record with a row for each frame of the clip."""


@dataclass(frozen=True, eq=False)
class Example:
    """B clips of F frames with what they are to be predicted from.

    Attributes:
        render: colours as taken.
        exposure: what brings all references to the first one's exposure.
        reference_color: [B, R, 3, h, w].
        reference_depth: [B, R, 1, h, w], 0 where unknown.
        intrinsics: [B, 3, 3] float64 of references and targets, without margin.
        reference_pose: [B, R, 4, 4] float64 world_from_camera.
        target_pose: [B, F, 4, 4] float64.
        truth: [B, F, 3, h, w] in [0, 1].
        extrapolated: [B, F] bool.
    """

    render: ConditioningRender
    exposure: Exposure
    reference_color: Tensor
    reference_depth: Tensor
    intrinsics: Tensor
    reference_pose: Tensor
    target_pose: Tensor
    truth: Tensor
    extrapolated: Tensor

    def to(self, device: str) -> "Example":
        """Return the example on another device."""
        return _moved(self, device)


def record(clip: Clip, overscan: float = OVERSCAN) -> Record:
    """Warp the clip's references into its targets and pack all of it."""
    color = torch.from_numpy(clip.color).permute(0, 3, 1, 2)
    depth = torch.from_numpy(clip.depth)[:, None]
    count, frames = len(color), len(clip.target_color)
    k = torch.from_numpy(clip.intrinsics)
    poses, targets = (
        torch.from_numpy(pose) for pose in (clip.world_from_camera, clip.target_world_from_camera)
    )
    size = (color.shape[-2], color.shape[-1])
    render = warp_references(
        color[None], depth[None], k.expand(1, count, 3, 3), poses[None],
        k.expand(1, frames, 3, 3), targets[None], size, overscan=overscan, guess=True,
    )  # fmt: skip
    exposure = quick_exposure(render)
    return {
        "color": _bytes(render.color[0]),
        "state": (2 * render.coverage + render.guessed)[0].byte(),
        "depth": render.depth[0].half(),
        "confidence": _bytes(render.confidence[0]),
        "gain": exposure.gain[0],
        "bias": exposure.bias[0],
        "matched": exposure.matched[0],
        "margin": torch.tensor(render.margin),
        "reference_color": _bytes(color),
        "reference_depth": depth.nan_to_num(0.0).half(),
        "intrinsics": k,
        "reference_pose": poses,
        "target_pose": targets,
        "truth": _bytes(torch.from_numpy(clip.target_color).permute(0, 3, 1, 2)),
        "extrapolated": torch.from_numpy(np.asarray(clip.extrapolated)),
    }


def quick_exposure(render: ConditioningRender) -> Exposure:
    """Estimate exposures from every third row and column of the warps."""
    step = EXPOSURE_STRIDE
    names = ("color", "coverage", "depth", "confidence", "guessed")
    coarse = {name: getattr(render, name)[..., ::step, ::step] for name in names}
    return estimate_exposure(replace(render, **coarse))


def unpack(records: Sequence[Mapping[str, Tensor]]) -> Example:
    """Stack records of one size into a batch."""
    stacked = {name: torch.stack([each[name] for each in records]) for name in records[0]}
    state = stacked["state"]
    rows, columns = records[0]["margin"].tolist()
    render = ConditioningRender(
        stacked["color"].float() / 255,
        (state == 2).float(),
        stacked["depth"].float(),
        stacked["confidence"].float() / 255,
        (state == 1).float(),
        (int(rows), int(columns)),
    )
    return Example(
        render,
        Exposure(stacked["gain"], stacked["bias"], stacked["matched"]),
        stacked["reference_color"].float() / 255,
        stacked["reference_depth"].float(),
        stacked["intrinsics"],
        stacked["reference_pose"],
        stacked["target_pose"],
        stacked["truth"].float() / 255,
        stacked["extrapolated"],
    )


def _bytes(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round().byte()


Part = TypeVar("Part", Example, ConditioningRender, Exposure)


def _moved(value: Part, device: str) -> Part:
    """Move every tensor in a tree of dataclasses."""
    parts: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, Tensor):
            parts[field.name] = part.to(device)
        elif is_dataclass(part):
            parts[field.name] = _moved(part, device)  # type: ignore[type-var]
    return replace(value, **parts)
