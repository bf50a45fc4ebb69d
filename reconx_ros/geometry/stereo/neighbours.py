"""Which views help to find the depth of a view, and how deep it may be."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.stereo.features import PairPoints
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, overlap

CANDIDATES = 8
"""Views looked at more closely for each view: work stays linear in the number of keyframes."""

LEAST_OVERLAP = 0.1

BEST_ANGLE = np.deg2rad(6.0)
"""Angle between rays that matches best: smaller tells less depth, larger looks less alike."""

NARROW, WIDE = np.deg2rad(2.5), np.deg2rad(12.0)
"""Deviations from it that still serve, below and above."""

LEAST_BASELINE = np.deg2rad(0.3)
"""Baseline over scene depth under which two views count as one."""

ENOUGH_POINTS = 12
"""Triangulated points that bound the depth of a view."""


def angle_weight(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return in [0, 1] how well rays that meet under ``angle`` (radians) serve stereo."""
    width = np.where(angle < BEST_ANGLE, NARROW, WIDE)
    return np.asarray(np.exp(-0.5 * np.square((angle - BEST_ANGLE) / width)))


def candidates(keyframes: Sequence[Keyframe], index: int, depth: float) -> list[int]:
    """Return the views with a baseline whose overlap with view ``index`` serves, best first.

    Args:
        keyframes: the views; those without pose never serve.
        index: the view that is to be served.
        depth: typical depth of the scene.
    """
    own = keyframes[index]
    if not own.posed:
        return []
    footprint = Footprint.of(own, depth)
    scores = {}
    for i, other in enumerate(keyframes):
        distance = float(np.linalg.norm(other.camera.centre - own.camera.centre))
        if i == index or not other.posed or distance < LEAST_BASELINE * depth:
            continue
        share = overlap(footprint, Footprint.of(other, depth))
        if share >= LEAST_OVERLAP:
            scores[i] = share * (0.05 + float(angle_weight(np.arctan(np.array(distance / depth)))))
    return sorted(scores, key=lambda i: (-scores[i], i))[:CANDIDATES]


def rank(pairs: dict[int, PairPoints], order: Sequence[int]) -> list[int]:
    """Return the candidates in ``order`` that fit, those with many well-placed common points first."""
    scores = {i: float(angle_weight(pairs[i].angle).sum()) for i in order if pairs[i].fits}
    return sorted(scores, key=lambda i: (-scores[i], order.index(i)))


def depth_range(depths: NDArray[np.float64], typical: float) -> tuple[float, float]:
    """Return (near, far) from the depths of sparse points, with room on either side.

    Args:
        depths: of the points of a view, any number.
        typical: typical depth of the scene, for views with too few points.
    """
    if len(depths) < ENOUGH_POINTS:
        return typical / 4, typical * 8
    low, high = np.quantile(depths, [0.02, 0.98])
    return float(0.6 * low), float(2.0 * high)
