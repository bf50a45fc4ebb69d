"""What a keyframe must hold before its geometry means anything."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError
from reconx_ros.keyframes.keyframe import Keyframe


def check_keyframe(keyframe: Keyframe) -> None:
    """Check sizes, intrinsics and pose of ``keyframe``.

    Raises:
        GeometryError: the image is empty, sizes disagree, the focal length is not positive or the
            pose is not a rigid transform.
    """
    camera, name = keyframe.camera, keyframe.name
    size = (camera.height, camera.width)
    if min(size) < 1 or keyframe.image.shape[:2] != size:
        raise GeometryError(
            f"keyframe {name}: image of {keyframe.image.shape[:2]} and camera of {size} rows, columns "
            "must be equal and not empty"
        )
    if keyframe.depth is not None and keyframe.depth.shape != size:
        raise GeometryError(
            f"keyframe {name}: depth of {keyframe.depth.shape} must be as large as its image, {size}"
        )
    if not (camera.intrinsics[0, 0] > 0 and camera.intrinsics[1, 1] > 0):
        raise GeometryError(
            f"keyframe {name}: focal lengths {camera.intrinsics[0, 0]:g}, {camera.intrinsics[1, 1]:g} "
            "must be positive; is camera_info filled in?"
        )
    if not is_rigid(camera.world_from_camera):
        raise GeometryError(f"keyframe {name}: world_from_camera is not a rotation and a translation")


def is_rigid(transform: NDArray[np.float64]) -> bool:
    """Return whether a [4, 4] matrix is a rotation (to 1e-4) and a finite translation."""
    rotation = transform[:3, :3]
    return bool(
        np.isfinite(transform).all()
        and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4)
        and np.linalg.det(rotation) > 0
    )
