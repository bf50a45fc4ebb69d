"""Which pixels of a held-out view the inputs cover: the rule behind every ``*_covered`` figure.

A pixel of the held-out view with measured depth is covered when its point, put into at least one
input view, falls inside that image, and the input's depth at the nearest pixel agrees with the
point's within 5 % of it plus 2 cm (the 2 cm only in a metric world). A point that something else
hides from an input is therefore not covered by it, nor is one where the input has no depth.

A pixel without measured depth (or a whole view without) is covered when a splat of the inputs'
points covers it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.evaluation.metrics import Mask
from reconx_ros.keyframes.keyframe import Keyframe

RELATIVE_TOLERANCE = 0.05
METRIC_TOLERANCE = 0.02


def covered_pixels(view: Keyframe, inputs: Sequence[Keyframe], splatted: Mask, metric: bool) -> Mask:
    """Return the [H, W] mask of the pixels of ``view`` that ``inputs`` cover.

    Args:
        view: the held-out view.
        inputs: the views the map is made of, in the same world.
        splatted: [H, W], where the inputs' points drawn into ``view`` leave a splat.
        metric: whether the world is in metres.
    """
    if view.depth is None:
        return splatted
    known = np.isfinite(view.depth)
    points = view.camera.unproject(view.depth)[known].astype(np.float64)
    seen = np.zeros(len(points), bool)
    for keyframe in inputs:
        if keyframe.depth is not None:
            seen |= _sees(keyframe.camera, keyframe.depth, points, METRIC_TOLERANCE if metric else 0.0)
    covered = splatted & ~known
    covered[known] = seen
    return covered


def _sees(camera: Camera, depth: NDArray[np.float32], points: NDArray[np.float64], slack: float) -> Mask:
    """Return for each point whether it lies on the surface that the view measured."""
    pixels, distance = camera.project(points)
    inside = (distance > 0) & (pixels >= -0.5).all(axis=-1)
    inside &= (pixels < [camera.width - 0.5, camera.height - 0.5]).all(axis=-1)
    column, row = np.rint(np.where(inside[:, None], pixels, 0)).astype(int).T
    column, row = np.minimum(column, camera.width - 1), np.minimum(row, camera.height - 1)
    gap = np.abs(depth[row, column] - distance)
    return np.asarray(inside & (gap <= RELATIVE_TOLERANCE * distance + slack))
