"""The stage before geometry: cameras for keyframes that have none."""

from collections.abc import Sequence

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.poses.recover import STAGE, PosedViews, recover_poses
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.progress import Progress
from reconx_ros.stopwatch import Stopwatch

SELF_POSED = ("dust3r",)
"""Geometry rooms that find the cameras themselves."""


def with_poses(
    keyframes: Sequence[Keyframe],
    config: ReconxConfig,
    metric: bool,
    progress: Progress,
    watch: Stopwatch,
) -> PosedViews:
    """Return ``keyframes`` as they are where one of them is posed, else with recovered cameras.

    Recovered keyframes are reduced to ``config.keyframes.image_width`` after their cameras are found.

    Raises:
        GeometryError: no cameras can be found (``recover_poses``).
    """
    views = tuple(keyframes)
    unposed = bool(views) and not any(keyframe.posed for keyframe in views)
    if not unposed:
        return PosedViews(views, metric)
    width = config.keyframes.image_width
    if config.geometry.method in SELF_POSED:
        return PosedViews(tuple(reduce(view, width) for view in views), metric)
    with watch.stage(STAGE):
        found = recover_poses(views, config.geometry.poses, progress)
    small = tuple(reduce(view, width) for view in found.keyframes)
    return PosedViews(small, found.metric, found.report)
