"""The stage before geometry: cameras for keyframes that have none."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.choose import finds_cameras
from reconx_ros.geometry.poses.recover import STAGE, PosedViews, recover_poses
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.progress import Progress
from reconx_ros.stopwatch import Stopwatch

_log = logging.getLogger(__name__)


def with_poses(
    keyframes: Sequence[Keyframe],
    config: ReconxConfig,
    metric: bool,
    progress: Progress,
    watch: Stopwatch,
) -> PosedViews:
    """Return ``keyframes`` as they are where one of them is posed, else with recovered cameras.

    They stay without cameras too where the geometry room finds them itself (``finds_cameras``).
    Recovered keyframes are reduced to ``config.keyframes.image_width`` after their cameras are found. A
    robot's recording (``metric``) is expected to have poses: that it has none is said in a warning.

    Raises:
        GeometryError: no cameras can be found (``recover_poses``).
    """
    views = tuple(keyframes)
    unposed = bool(views) and not any(keyframe.posed for keyframe in views)
    if not unposed:
        return PosedViews(views, metric)
    width = config.keyframes.image_width
    if finds_cameras(config.geometry, views):
        found = PosedViews(tuple(reduce(view, width) for view in views), metric=False)
    else:
        with watch.stage(STAGE):
            found = recover_poses(views, config.geometry.poses, progress)
        found = replace(found, keyframes=tuple(reduce(view, width) for view in found.keyframes))
    return _said(found, len(views)) if metric else found


def _said(found: PosedViews, count: int) -> PosedViews:
    """Say that the poses are not those of a robot, and what a unit of the world is."""
    unit = (
        "the world is in metres by measured depth"
        if found.metric
        else "the world has no unit: distances are not metres"
    )
    line = (
        f"none of {count} keyframes has a pose (no TF or odometry reaches the camera): cameras "
        f"{_how_many(found)} from the images; {unit}, z is up as far as the camera was level"
    )
    _log.warning(line)
    return replace(found, report={**found.report, "warnings": [line, *found.report.get("warnings", [])]})


def _how_many(found: PosedViews) -> str:
    posed = sum(keyframe.posed for keyframe in found.keyframes)
    return f"of {posed} were found" if posed else "will be found with the geometry"
