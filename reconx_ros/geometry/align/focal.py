"""The focal length of a pointmap in its own camera's frame."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.observations import lattice_of
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.keyframes.keyframe import Keyframe

Array = NDArray[np.float64]

_log = logging.getLogger(__name__)

ROUNDS = 10

SAMPLES = 4096
"""Pixels of each pointmap that tell the focal length."""

DOUBTED = 1.15
"""Ratio of the focal length shown to the calibrated one, or its inverse, that is worth a warning."""


def with_focal_lengths(keyframes: Sequence[Keyframe], pairs: Sequence[PairPointMaps]) -> list[Keyframe]:
    """Return ``keyframes`` with the focal lengths that their own pointmaps show, where none is calibrated.

    A network knows nothing of K: the points that it gives a pair's first view, in that view's frame, say
    what the camera must be (DUSt3R, section 3.3). A view that is first in no pair, or whose pointmaps are
    absurd, keeps what it has. Where calibrated ones differ as a whole, a warning says so.

    Args:
        keyframes: the views.
        pairs: pointmaps of some of them.
    """
    answers, ratios = [], []
    for view, keyframe in enumerate(keyframes):
        focal = _focal_shown(keyframe.camera, [pair for pair in pairs if pair.first == view])
        if not focal > 0:  # NaN too
            answers.append(keyframe)
        elif keyframe.intrinsics == "calibrated":
            answers.append(keyframe)
            ratios.append(focal / keyframe.camera.intrinsics[0, 0])
        else:
            answers.append(replace(keyframe, camera=_with_focal(keyframe.camera, focal)))
    if ratios and abs(np.log(np.median(ratios))) > np.log(DOUBTED):
        _log.warning(
            "the images look as if the calibrated focal lengths were %.2f times as long; is K of another "
            "size of the images?",
            np.median(ratios),
        )
    return answers


def _focal_shown(camera: Camera, own: Sequence[PairPointMaps]) -> float:
    """Return the focal length along x, in pixels, that pairs with this first view show; NaN of none."""
    x, y = lattice_of(camera, SAMPLES).T
    if not own:
        return float("nan")
    points = np.concatenate([pair.points[0][y, x] for pair in own]).astype(np.float64)
    sure = np.concatenate([pair.confidence[0][y, x] for pair in own]).astype(np.float64)
    weight = np.where(np.isfinite(points).all(axis=1), np.log(np.maximum(sure, 1.0)), 0.0)
    matrix = camera.intrinsics
    square = np.array([1.0, matrix[0, 0] / matrix[1, 1]])  # as if the focal length were that of x in y too
    pixels = np.tile(np.stack([x, y], axis=1) * square, (len(own), 1))
    return estimate_focal(points, pixels, weight, matrix[:2, 2] * square)


def _with_focal(camera: Camera, focal: float) -> Camera:
    intrinsics = camera.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] *= focal / intrinsics[0, 0]
    return replace(camera, intrinsics=intrinsics)


def estimate_focal(points: Array, pixels: Array, weight: Array, principal_point: Array) -> float:
    """Return the focal length in pixels that fits best (DUSt3R, section 3.3, Weiszfeld's algorithm).

    It minimises ``sum w ||pixel - principal_point - f (x, y) / z||`` over f.

    Args:
        points: [N, 3] in the camera frame, z > 0 where the weight is.
        pixels: [N, 2].
        weight: [N], not negative.
        principal_point: [2] in pixels.

    Returns:
        Pixels; NaN where no point has a weight.
    """
    used = (weight > 0) & (points[:, 2] > 0)
    if not used.any():
        return float("nan")
    slope = points[used, :2] / points[used, 2:]
    offset, share = pixels[used] - principal_point, weight[used]
    along, square = (slope * offset).sum(1), (slope**2).sum(1)
    focal = float(share @ along / max(share @ square, 1e-12))
    for _ in range(ROUNDS):
        residual = np.linalg.norm(offset - focal * slope, axis=1)
        factor = share / np.maximum(residual, 1e-8)
        focal = float(factor @ along / max(factor @ square, 1e-12))
    return focal
