"""Cameras and poses between this package and pycolmap.

COLMAP's pixel (0, 0) is the corner of the top-left pixel, ours is its centre; its poses are
camera-from-world.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

if TYPE_CHECKING:
    import pycolmap

HALF_PIXEL = 0.5


def colmap_camera(camera: Camera, camera_id: int) -> "pycolmap.Camera":
    """Return the intrinsics of ``camera`` as a COLMAP camera of the model PINHOLE."""
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    matrix = camera.intrinsics
    centre = (matrix[0, 2] + HALF_PIXEL, matrix[1, 2] + HALF_PIXEL)
    return pycolmap.Camera(
        model="PINHOLE",
        width=camera.width,
        height=camera.height,
        params=[matrix[0, 0], matrix[1, 1], *centre],
        camera_id=camera_id,
    )


def colmap_pose(camera: Camera) -> "pycolmap.Rigid3d":
    """Return the pose of ``camera`` as COLMAP has it: camera from world."""
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    return pycolmap.Rigid3d(camera.camera_from_world[:3])


def world_from_camera(pose: "pycolmap.Rigid3d") -> NDArray[np.float64]:
    """Return COLMAP's camera-from-world pose as [4, 4] float64 world from camera."""
    matrix = np.eye(4)
    matrix[:3] = pose.inverse().matrix()
    return matrix
