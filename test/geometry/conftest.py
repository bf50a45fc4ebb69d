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


@pytest.fixture(scope="session")
def film_room() -> Callable[..., list[Keyframe]]:
    """Films a furnished room: 400 x 300, exact poses and depth."""
    from reconx_ros.simulation.film import intrinsics, photograph
    from reconx_ros.simulation.paths import look_at
    from reconx_ros.simulation.rooms import room
    from reconx_ros.simulation.sensor import SensorNoise

    scene = room(0, 0.15, 4)
    camera = Camera(intrinsics(400, 300), np.eye(4), 400, 300)

    def film(eyes: list[tuple[float, ...]], targets: list[tuple[float, ...]]) -> list[Keyframe]:
        poses = look_at(np.array(eyes), np.array(targets))
        shots = (camera.moved(pose) for pose in poses)
        return [photograph(scene, shot, SensorNoise(), number, 0, 0) for number, shot in enumerate(shots)]

    return film


@pytest.fixture(scope="session")
def room_views(film_room: Callable[..., list[Keyframe]]) -> list[Keyframe]:
    """Four views 20 to 25 cm apart that look across the room, with their exact depth."""
    eyes = [(-0.45, -1.0, 1.4), (-0.2, -1.0, 1.5), (0.0, -0.9, 1.35), (0.2, -1.0, 1.45)]
    return film_room(eyes, [(-0.3, 2.0, 1.0), (-0.2, 2.0, 0.9), (0.1, 2.0, 1.0), (0.0, 2.0, 1.0)])
