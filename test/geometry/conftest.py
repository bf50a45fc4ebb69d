"""Analytic views of planes."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe


def _camera(
    world_from_camera: NDArray[np.float64] | None = None, width: int = 160, height: int = 120
) -> Camera:
    pose = np.eye(4) if world_from_camera is None else world_from_camera
    focal = 0.82 * width
    intrinsics = np.array([[focal, 0, width / 2 - 0.3], [0, focal, height / 2 + 0.2], [0, 0, 1]])
    return Camera(intrinsics, pose, width, height)


def _plane_depth(
    camera: Camera, normal: NDArray[np.float64], point: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Depth of the plane through ``point``: n . (o + z R r) = n . p, solved for z."""
    rays = camera.rays() @ camera.world_from_camera[:3, :3].T
    depth = (normal @ (point - camera.centre)) / (rays @ normal)
    return np.where(depth > 0, depth, np.nan).astype(np.float32)


@pytest.fixture
def make_camera() -> Callable[..., Camera]:
    """A 160 x 120 camera at a pose."""
    return _camera


@pytest.fixture
def plane_depth() -> Callable[..., NDArray[np.float32]]:
    """The exact depth image of a plane."""
    return _plane_depth


@pytest.fixture
def plane_keyframe() -> Callable[..., Keyframe]:
    """A keyframe that sees one plane (default: a wall 2 m ahead of the world's origin)."""

    def make(
        normal: tuple[float, float, float] = (0, 0, -1),
        point: tuple[float, float, float] = (0, 0, 2),
        centre: tuple[float, float, float] = (0, 0, 0),
        name: str = "a",
    ) -> Keyframe:
        pose = np.eye(4)
        pose[:3, 3] = centre
        camera = _camera(pose)
        depth = _plane_depth(camera, np.array(normal, float), np.array(point, float))
        image = np.full((camera.height, camera.width, 3), 128, np.uint8)
        return Keyframe(name, 0, image, camera, depth)

    return make
