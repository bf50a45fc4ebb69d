"""Smaller keyframes: colour averaged, depth resampled without mixing near and far."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.keyframes.keyframe import Keyframe

SAME_SURFACE = 0.01
"""Relative difference up to which a blend lies on the surface of the nearest sample: 80 degrees of
slope at a common focal length give half of it."""


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
    depth = None if keyframe.depth is None else reduce_depth(keyframe.depth, *size)
    return replace(keyframe, image=image, depth=depth, camera=smaller)


def reduce_depth(depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Resample ``depth`` at the pixel centres of a smaller image.

    Bilinear in inverse depth, which is linear over the image of a plane, so planes stay exact.
    Where that leaves the surface of the nearest sample (an edge) or is unknown (beside a hole) the
    nearest sample is taken as it is: edges stay sharp and holes stay holes.

    Args:
        depth: [H, W] float32 metres, NaN unknown.
        width: pixels wanted.
        height: pixels wanted.

    Returns:
        [height, width] float32 metres.
    """
    size = (width, height)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.float32(1) / depth
        blend = cv2.resize(inverse, size, interpolation=cv2.INTER_LINEAR)
        nearest = cv2.resize(inverse, size, interpolation=cv2.INTER_NEAREST_EXACT)
        same = np.abs(blend - nearest) <= SAME_SURFACE * nearest
        return np.asarray(1 / np.where(same, blend, nearest), dtype=np.float32)
