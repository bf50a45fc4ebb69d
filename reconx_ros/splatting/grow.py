"""Gaussians where a view shows colour that the map does not explain.

Depth cameras miss dark, shiny and thin things, stereo misses blank ones: the colour there is known, the
depth is not. A hole in the map would show the background instead. So depth is guessed from around the
hole, and the optimiser moves the Gaussians from there. A guess is not an observation: such Gaussians
are marked ``GENERATED`` and have confidence ``GUESSED``, and what is measured later replaces them
(``prune.py``).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import EXPLAINED, GeneratedFrame
from reconx_ros.geometry.protocol import GENERATED, GeometryEstimate
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.initialise import disc_quaternions, discs, harmonics
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.views import believed, pointmap_depth
from reconx_ros.structure.fills import push_pull
from reconx_ros.structure.reference import Reference

GUESSED = 0.1
"""Confidence, in [0, 1], of a Gaussian whose depth was guessed."""

LEAST_CONFIDENCE = 0.1
"""Confidence of a generated pixel below which it is not worth a Gaussian."""

FEWEST = 8
"""Pixels of known depth below which nothing is guessed."""


def grown(
    gaussians: GaussianMap, estimate: GeometryEstimate, config: SplattingConfig, device: str = "auto"
) -> GaussianMap:
    """Return ``gaussians`` with those of ``unexplained`` for each posed view, one after the other."""
    if config.guess_stride == 0:
        return gaussians
    for keyframe, pointmap in zip(estimate.keyframes, estimate.pointmaps, strict=True):
        if keyframe.posed:
            new = unexplained(gaussians, keyframe, pointmap_depth(pointmap, keyframe), config, device)
            gaussians = GaussianMap.concatenate(gaussians, new)
    return gaussians


def imagined(
    gaussians: GaussianMap, frames: Sequence[GeneratedFrame], config: SplattingConfig, device: str = "auto"
) -> GaussianMap:
    """Return ``gaussians`` with more where a generated frame shows what no view saw, frame after frame.

    Colour, depth and confidence are those of the frame, the latter times ``GUESSED`` at most: nobody has
    seen that anything is there. At most ``config.generated_room`` are added; frames that hope for most
    come first.
    """
    if config.guess_stride == 0 or not config.generated_gaussians:
        return gaussians
    left = round(config.max_gaussians * config.generated_room)
    for frame in frames:
        confidence = believed(frame, config)
        hole = render_view(gaussians, frame.camera, config.rasterizer, device)[2] < EXPLAINED
        chosen = hole & ~frame.seen & np.isfinite(frame.depth) & (confidence >= LEAST_CONFIDENCE)
        chosen &= _grid(hole.shape, config.guess_stride)
        certain = GUESSED * confidence[chosen]
        new = _facing(frame.camera, frame.image, frame.depth, chosen, certain, gaussians.sh_degree, config)
        if len(new) > left:
            new = new.select(np.linspace(0, len(new) - 1, left).astype(np.intp))
        left -= len(new)
        gaussians = GaussianMap.concatenate(gaussians, new)
    return gaussians


def unexplained(
    gaussians: GaussianMap,
    keyframe: Keyframe | Reference,
    depth: Floats,
    config: SplattingConfig,
    device: str = "auto",
) -> GaussianMap:
    """Return Gaussians for the pixels of ``keyframe`` where the map has nothing.

    Inverse depth is what was measured, else what the map shows, and between both the push-pull
    fill: smooth in image space, and so nearer to the truth than a constant.

    Args:
        gaussians: the map so far.
        keyframe: a posed view.
        depth: [H, W] of it, NaN where unknown.
        config: shape of new Gaussians, and every how many pixels there is one.
        device: where the map may be drawn.

    Returns:
        Discs that face the camera, as wide as the pixels they stand for; none where too little depth
        is known to guess from.
    """
    _, shown, alpha = render_view(gaussians, keyframe.camera, config.rasterizer, device)
    hole = alpha < EXPLAINED
    known = np.where(np.isfinite(depth), depth, np.where(hole, np.nan, shown)).astype(np.float32)
    chosen = hole & _grid(hole.shape, config.guess_stride)
    if not chosen.any() or np.isfinite(known).sum() < FEWEST:
        return gaussians.select(np.empty(0, np.intp))
    certain = np.full(np.count_nonzero(chosen), GUESSED, np.float32)
    filled = _filled(known)
    return _facing(keyframe.camera, keyframe.image, filled, chosen, certain, gaussians.sh_degree, config)


def _facing(
    camera: Camera,
    image: NDArray[np.uint8],
    depth: Floats,
    chosen: NDArray[np.bool_],
    confidence: Floats,
    degree: int,
    config: SplattingConfig,
) -> GaussianMap:
    points = camera.unproject(depth)[chosen]
    deviation = depth[chosen] / np.float32(camera.intrinsics[0, 0]) * config.guess_stride
    normals = (camera.centre - points).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    log_scales, logits = discs(deviation, normals, config.initial)
    return GaussianMap(
        means=points,
        log_scales=log_scales,
        quaternions_wxyz=disc_quaternions(normals),
        opacity_logits=logits,
        sh=harmonics(image[chosen], degree),
        confidence=confidence.astype(np.float32),
        provenance=np.full(len(points), GENERATED, np.uint8),
    )


def _filled(depth: Floats) -> Floats:
    """Fill the unknown (NaN) part of a depth [H, W]: smooth in inverse depth, as planes are."""
    inverse = torch.from_numpy(np.nan_to_num(1 / depth, nan=0.0))[None, None]
    mask = torch.from_numpy(np.isfinite(depth).astype(np.float32))[None, None]
    return np.asarray(1 / push_pull(inverse, mask)[0, 0].numpy(), np.float32)


def _grid(shape: Sequence[int], stride: int) -> NDArray[np.bool_]:
    """Return a mask [H, W] of every ``stride``-th row and column."""
    mask = np.zeros(tuple(shape), np.bool_)
    mask[stride // 2 :: stride, stride // 2 :: stride] = True
    return mask
