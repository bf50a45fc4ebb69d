"""Views nobody took, between the real ones: what the real ones show there (pseudo-views).

Each real view is warped by its depth into cameras half way to its neighbours, hidden surfaces removed,
exposures matched, and blended. Such a view holds nothing new, but with few real ones it keeps
Gaussians from agreeing with each of them in ways that agree with nothing in between.
"""

from collections.abc import Sequence

import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import GENERATED, GeometryEstimate
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.view import TrainingView
from reconx_ros.structure.composite import composite
from reconx_ros.structure.conditioning import render_conditioning
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.reference import Reference

REFERENCES = 3
"""Real views that are warped into a pseudo-view, the nearest first."""


def reprojected_views(estimate: GeometryEstimate, config: SplattingConfig) -> list[TrainingView]:
    """Return ``config.pseudo_views`` views between each real view and the nearest before it.

    Weight is ``config.pseudo_weight`` times the square root of the warp's confidence
    (``structure.warp``), 0 where nothing is shown. Views of unknown depth give none, and above
    ``config.pseudo_until`` real views there are none: what is blurred by warping then does harm.
    """
    references = [
        Reference.of_pointmap(keyframe, pointmap)
        for keyframe, pointmap in zip(estimate.keyframes, estimate.pointmaps, strict=True)
        if keyframe.posed and pointmap.known.any()
    ]
    useful = config.pseudo_views > 0 and config.pseudo_weight > 0
    if not useful or not 2 <= len(references) <= config.pseudo_until:
        return []
    cameras = between([reference.camera for reference in references], config.pseudo_views)
    return [_view(camera, references, config.pseudo_weight) for camera in cameras]


def between(cameras: Sequence[Camera], count: int) -> list[Camera]:
    """Return ``count`` cameras on the way from each camera, but the first, to the nearest before it."""
    made: list[Camera] = []
    for number in range(1, len(cameras)):
        nearest = min(cameras[:number], key=lambda other: distance(other, cameras[number]))
        made += interpolate(nearest, cameras[number], count + 2)[1:-1]
    return made


def distance(first: Camera, second: Camera) -> float:
    """Return the shift between two views, times 1 (looking the same way) to 3 (opposite ways)."""
    facing = float(first.world_from_camera[:3, 2] @ second.world_from_camera[:3, 2])
    return float(np.linalg.norm(first.centre - second.centre)) * (2 - facing)


def _view(camera: Camera, references: Sequence[Reference], weight: float) -> TrainingView:
    near = sorted(references, key=lambda reference: distance(reference.camera, camera))[:REFERENCES]
    render = render_conditioning(near, [camera], overscan=0.0, guess=False)
    image, _ = composite(render)
    confidence = (render.confidence * render.coverage).amax(dim=2)[0, 0, 0].sqrt() * weight
    depth = torch.where(render.coverage > 0, render.depth, torch.inf).amin(dim=2)[0, 0, 0]
    return TrainingView(
        camera=camera,
        image=image[0, 0].permute(1, 2, 0).contiguous().numpy(),
        confidence=confidence.numpy(),
        depth=torch.where(depth.isfinite(), depth, torch.nan).numpy(),
        provenance=GENERATED,
    )
