"""One view of the scene: the unit that travels through the whole pipeline."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Intrinsics = Literal["calibrated", "prior", "guessed"]


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A colour image with its camera, and depth where the robot measures it.

    Attributes:
        name: unique in a run and usable as a file name without ending (``000042`` or the photo's).
        stamp_ns: capture time in nanoseconds (0 where the source has none).
        image: [H, W, 3] uint8 RGB, undistorted.
        camera: pinhole camera of the image; ``camera.width, camera.height`` are W, H.
        depth: [H, W] float32 metres along the optical axis, NaN where unknown, registered to the
            colour image; ``None`` without a depth camera.
        posed: whether ``camera.world_from_camera`` is known; it is the identity where it is not.
        depth_range: nearest and farthest depth of the view in world units, where the source says so.
        pose_covariance: [6, 6] float64 (x, y, z, roll, pitch, yaw; metres, radians) or ``None``.
        intrinsics: what ``camera.intrinsics`` are worth: calibrated, a prior (the focal length of the
            photo's EXIF data, good to some percent), or guessed from the size of the image.
    """

    name: str
    stamp_ns: int
    image: NDArray[np.uint8]
    camera: Camera
    depth: NDArray[np.float32] | None = None
    posed: bool = True
    pose_covariance: NDArray[np.float64] | None = None
    depth_range: tuple[float, float] | None = None
    intrinsics: Intrinsics = "calibrated"
