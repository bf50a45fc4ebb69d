"""From what was filmed to frames of the cameras that were asked for."""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.reliability import Reliability
from reconx_ros.diffusion.wan.roll import Roll
from reconx_ros.keyframes.reduce import reduce_depth
from reconx_ros.structure.reference import Reference

Floats = NDArray[np.float32]


def generated_frame(
    roll: Roll, at: int, camera: Camera, curve: Reliability, real: Reference | None
) -> GeneratedFrame:
    """Return frame ``at`` of a roll at the size of ``camera``.

    Colour and confidence are resampled linearly, by area where they shrink; depth as a surface
    (``keyframes.reduce``). A frame with the camera of a real view is that view's image, as it was taken.

    Args:
        roll: the clip.
        at: number of the frame.
        camera: of that frame, as asked for.
        curve: from expected error to confidence.
        real: the view whose camera it is.
    """
    width, height = camera.width, camera.height
    color = _resized(roll.image[at].permute(1, 2, 0), camera)
    image = np.clip(color * 255 + 0.5, 0, 255).astype(np.uint8)
    depth = roll.depth[at][0].numpy()
    return GeneratedFrame(
        image=image if real is None else real.resized(height, width).image,
        confidence=curve.confidence(_resized(roll.error[at][0], camera)),
        depth=depth if depth.shape == (height, width) else reduce_depth(depth, width, height),
        seen=_resized(roll.seen[at][0], camera) >= 0.5,
        camera=camera,
    )


def _resized(image: Tensor, camera: Camera) -> Floats:
    shrinks = camera.width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(
        np.ascontiguousarray(image.numpy()), (camera.width, camera.height), interpolation=method
    )
    return np.asarray(resized, np.float32)
