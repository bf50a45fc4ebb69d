"""Training views of keyframes and of generated frames."""

from collections.abc import Iterable

import numpy as np

from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.geometry.protocol import GENERATED, OBSERVED, GeometryEstimate, PointMap
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.gaussians import Floats
from reconx_ros.splatting.view import TrainingView


def observed_views(estimate: GeometryEstimate) -> list[TrainingView]:
    """Return a view for each keyframe with a pose: its C as confidence, its pointmap's depth as depth."""
    pairs = zip(estimate.keyframes, estimate.pointmaps, strict=True)
    return [observed_view(keyframe, pointmap) for keyframe, pointmap in pairs if keyframe.posed]


def observed_view(keyframe: Keyframe, pointmap: PointMap) -> TrainingView:
    """Return the view of one keyframe; C is 1 where the pointmap knows nothing."""
    return TrainingView(
        camera=keyframe.camera,
        image=keyframe.image.astype(np.float32) / np.float32(255),
        confidence=pointmap.confidence.astype(np.float32),
        depth=pointmap_depth(pointmap, keyframe),
        provenance=OBSERVED,
    )


def generated_views(frames: Iterable[GeneratedFrame], config: SplattingConfig) -> list[TrainingView]:
    """Return a view for each generated frame.

    The weight of a pixel is its confidence in [0, 1] (``believed``) times ``config.generated_weight``,
    and times ``config.generated_seen`` where a real view shows its surface: that one is a better teacher.
    """
    views = []
    for frame in frames:
        share = np.where(frame.seen, np.float32(config.generated_seen), np.float32(1))
        trust = believed(frame, config)
        view = TrainingView(
            camera=frame.camera,
            image=frame.image.astype(np.float32) / np.float32(255),
            confidence=(trust * share * config.generated_weight).astype(np.float32),
            depth=frame.depth.astype(np.float32),
            provenance=GENERATED,
            filmed=True,
        )
        views.append(view)
    return views


def believed(frame: GeneratedFrame, config: SplattingConfig) -> Floats:
    """Return the confidence [H, W] given to a generated frame; 0 where it must not teach stays 0."""
    if config.generated_confidence == "pixel":
        return frame.confidence
    return (frame.confidence > 0).astype(np.float32)


def pointmap_depth(pointmap: PointMap, keyframe: Keyframe) -> Floats:
    """Return the depth [H, W] of the pointmap along the optical axis, NaN where unknown."""
    pose = keyframe.camera.camera_from_world
    depth = pointmap.points.astype(np.float64) @ pose[2, :3] + pose[2, 3]
    return np.where(depth > 0, depth, np.nan).astype(np.float32)
