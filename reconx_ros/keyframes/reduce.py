"""Smaller keyframes: colour averaged, depth resampled without mixing near and far."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe

SAME_SURFACE = 0.05
"""Relative depth difference up to which two neighbouring samples lie on one surface."""


def reduce(keyframe: Keyframe, image_width: int) -> Keyframe:
    """Return ``keyframe`` with an image of ``image_width`` pixels; never enlarged.

    Args:
        keyframe: any size; depth of the size of the image.
        image_width: pixels; the height keeps the aspect ratio to the nearest pixel.
    """
    camera = keyframe.camera
    if camera.width <= image_width:
        return keyframe
    smaller = camera.resized(image_width, max(1, round(camera.height * image_width / camera.width)))
    size = (smaller.width, smaller.height)
    image = cv2.resize(keyframe.image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    depth = None if keyframe.depth is None else reduce_depth(keyframe.depth, camera, smaller)
    return replace(keyframe, image=image, depth=depth, camera=smaller)


def reduce_depth(depth: NDArray[np.float32], camera: Camera, smaller: Camera) -> NDArray[np.float32]:
    """Resample ``depth`` at the pixel centres of ``smaller``.

    Bilinear in inverse depth, which is linear over the image of a plane, so planes stay exact. Of
    the four samples around a target only those count that lie on the surface of the nearest one
    (in the image; the nearer surface where two are equally near): edges stay sharp, and a hole
    stays a hole where the nearest sample is unknown.

    Args:
        depth: [H, W] float32 metres, NaN unknown, of ``camera``.
        camera: the camera of ``depth``.
        smaller: ``camera.resized(...)``.

    Returns:
        [smaller.height, smaller.width] float32 metres.
    """
    rows, row_weights = _corners(smaller.height, camera.height)
    columns, column_weights = _corners(smaller.width, camera.width)
    samples = np.stack([depth[np.ix_(row, column)] for row in rows for column in columns])
    weights = np.stack([np.outer(r, c) for r in row_weights for c in column_weights])
    nearest = weights >= weights.max(axis=0) - 1e-6
    surface = np.fmin.reduce(np.where(nearest, samples, np.float32(np.nan)), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        same = np.abs(samples - surface) <= SAME_SURFACE * surface
        weights = np.where(same, weights, 0)
        inverse = np.where(same, weights / samples, 0).sum(axis=0)
        return np.asarray(weights.sum(axis=0) / inverse, dtype=np.float32)


def _corners(
    size: int, source: int
) -> tuple[tuple[NDArray[np.intp], ...], tuple[NDArray[np.float32], ...]]:
    """Return, for one axis, the two source samples about each target centre and their weights."""
    centres = (np.arange(size) + 0.5) * (source / size) - 0.5
    low = np.clip(np.floor(centres), 0, source - 1).astype(np.intp)
    high = np.minimum(low + 1, source - 1)
    fraction = np.clip(centres - low, 0, 1).astype(np.float32)
    return (low, high), (1 - fraction, fraction)
