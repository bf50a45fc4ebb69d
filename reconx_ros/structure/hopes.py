"""Which pixels of a view nobody took could be learnt: unseen by every input, but close to what is known.

A pixel of a coarse view (``survey.py``) in which the cloud shows nothing is a hole. What lies there is
guessed at the farthest depth known within reach, for what comes into view behind an edge is background.
If an input looked at that place, or through it, and still nothing is known there (a window, a black
screen), there is nothing to hope for. Otherwise the hope is

    h = max(c, c₀) (1 − d / r),

c the confidence of the nearest known pixel, d the distance to it and r the reach, both in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.structure.survey import Sketch

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_CONFIDENCE = 0.1
"""c₀: clouds whose confidence says nothing can be planned on, too."""

BEHIND = 1.1
"""A point this many times as far as what an input shows there is hidden from it."""


@dataclass(frozen=True, eq=False)
class Hopes:
    """What one coarse view hopes to learn.

    Attributes:
        weight: [h, w] float32 in [0, 1], 0 where there is nothing to hope for.
        points: [M, 3] float32 where in the world the M hoped pixels are guessed to be, row by row.
        unseen: share of the pixels in which the cloud shows nothing.
        back: share of the pixels that show a surface from behind.
    """

    weight: Floats
    points: Floats
    unseen: float
    back: float


def hopes(sketch: Sketch, inputs: Sequence[Sketch], reach: float) -> Hopes:
    """Return the hopes of a view.

    Args:
        sketch: the view.
        inputs: the same of all inputs.
        reach: r as a share of the image width.
    """
    front, camera = sketch.front, sketch.camera
    unseen, back = sketch.unseen, float(sketch.back.mean())
    weight = np.zeros(front.shape, np.float32)
    pixels = max(1.0, reach * camera.width)
    if not front.any() or front.all():
        return Hopes(weight, np.zeros((0, 3), np.float32), unseen, back)
    away, nearest = _nearest(front)
    hole = ~front & ~sketch.back & (away < pixels)
    points = _guessed(camera, sketch.depth, front, hole, pixels)
    fresh = ~seen(points, inputs)
    rows, columns = (each[fresh] for each in np.nonzero(hole))
    trust = np.maximum(sketch.confidence[front][nearest[rows, columns]], LEAST_CONFIDENCE)
    weight[rows, columns] = trust * (1 - away[rows, columns] / pixels)
    return Hopes(weight, points[fresh], unseen, back)


def _nearest(front: Mask) -> tuple[Floats, NDArray[np.int32]]:
    """Return for each pixel the distance to the nearest pixel of ``front``, and its number in it."""
    holes = (~front).astype(np.uint8)
    away, label = cv2.distanceTransformWithLabels(
        holes, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(label.max()) + 1, np.int32)
    of_label[label[front]] = np.arange(np.count_nonzero(front))
    return np.asarray(away, np.float32), of_label[label]


def _guessed(camera: Camera, depth: Floats, front: Mask, hole: Mask, reach: float) -> Floats:
    """Return the world points [M, 3] of the holes, at the farthest depth known within reach."""
    side = 2 * int(np.ceil(reach)) + 1
    known = np.where(front, depth, np.float32(0))
    farthest = cv2.dilate(known, np.ones((side, side), np.uint8))[hole]
    local = camera.rays()[hole] * farthest[:, None]
    pose = camera.world_from_camera
    return np.asarray(local @ pose[:3, :3].T + pose[:3, 3], np.float32)


def seen(points: Floats, inputs: Sequence[Sketch]) -> Mask:
    """Return which of ``points`` [M, 3] an input looked at: in its image and not hidden by what it shows.

    Where the input shows nothing, it looked all the same.
    """
    looked = np.zeros(len(points), np.bool_)
    for each in inputs:
        depth, shown = looked_up(points, each, each.depth)
        looked |= depth < BEHIND * shown
    return looked


def looked_up(points: Floats, sketch: Sketch, image: Floats) -> tuple[Floats, Floats]:
    """Return depth [M] of ``points`` [M, 3] in a view and what an ``image`` of its size says there.

    Of points that are not in the image or behind the camera the depth is infinite, and it says 0.
    """
    from reconx_ros.structure.survey_kernel import look_up  # noqa: PLC0415 - numba

    depth, shown = np.full(len(points), np.inf, np.float32), np.zeros(len(points), np.float32)
    look_up(points, sketch.camera.intrinsics, sketch.camera_from_world, image, depth, shown)
    return depth, shown


def cells(hoped: Hopes, side: float) -> tuple[NDArray[np.int64], Floats]:
    """Return the distinct cells of the world that a view hopes to learn.

    Args:
        hoped: of the view.
        side: of a cell, in world units.

    Returns:
        keys [K] int64, sorted, and the weight summed over each cell's pixels [K] float32.
    """
    index = np.floor(hoped.points.astype(np.float64) / side).astype(np.int64) & 0x1FFFFF
    keys = (index[:, 0] << 42) | (index[:, 1] << 21) | index[:, 2]
    distinct, place = np.unique(keys, return_inverse=True)
    weights = np.bincount(place.ravel(), hoped.weight[hoped.weight > 0], len(distinct))
    return distinct, weights.astype(np.float32)
