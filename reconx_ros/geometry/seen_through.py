"""Which measurements of a view may remove points that lie before them, and how far before."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.agreement import MeasuredView
from reconx_ros.geometry.confidence import RHO
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.geometry.voxels import LEAST_WEIGHT
from reconx_ros.keyframes.keyframe import Keyframe

SEEN_THROUGH = 0.05
"""Relative distance by which a point must lie before a measured surface to be seen through."""

TRUSTED = 2.0
"""C from which a measurement may remove points: known to 1 percent, and not at an edge."""

BEST = 0.9
"""Quantile of C - 1 over a view that stands for its best points. Where half of that is below
``TRUSTED`` it is enough, and surfaces must lie farther apart."""

APART = 2.5
"""Standard deviations of a trusted measurement by which a point must lie before it, at least."""


def trusted(pointmap: PointMap) -> tuple[float, float]:
    """Return the C from which points of a view may remove others, and their relative deviation then.

    ``TRUSTED``, or half of what its ``BEST`` points have where that is less. C of stereo is a probability:
    what is rather right than wrong.
    """
    if pointmap.deviation is not None:
        return TRUSTED, pointmap.deviation
    known = pointmap.confidence[pointmap.known]
    half = 0.5 * (float(np.quantile(known, BEST)) - 1) if known.size else TRUSTED - 1
    least = min(TRUSTED, 1 + max(half, LEAST_WEIGHT))
    return least, RHO / float(np.sqrt(least - 1))


def tolerance_of(deviation: float) -> float:
    """Return the relative distance by which a point must lie before a surface that is so well known."""
    return max(SEEN_THROUGH, APART * deviation)


def measured(keyframe: Keyframe, pointmap: PointMap, least: float) -> MeasuredView:
    """Return the part of a pointmap from C = ``least`` on as a depth image."""
    trusted = pointmap.confidence >= least
    depth = np.where(trusted, depth_of(keyframe, pointmap), np.float32(np.nan))
    return MeasuredView.of(keyframe.camera, depth, np.zeros_like(depth))


def depth_of(keyframe: Keyframe, pointmap: PointMap) -> NDArray[np.float32]:
    """Return the depth image [H, W] of a pointmap, NaN where unknown."""
    forward = keyframe.camera.camera_from_world[2]
    depth = pointmap.points @ forward[:3].astype(np.float32) + np.float32(forward[3])
    return np.asarray(depth, dtype=np.float32)
