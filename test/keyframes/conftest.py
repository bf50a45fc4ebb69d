"""Synthetic views."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe


@pytest.fixture
def make_view() -> Callable[..., Keyframe]:
    """A textured 64 x 48 view (90 degrees wide) with constant depth, or none, at a pose."""

    def make(
        name: str = "a",
        centre: tuple[float, float, float] = (0, 0, 0),
        yaw: float = 0,
        depth: float | None = 2.0,
        posed: bool = True,
        blur: bool = False,
    ) -> Keyframe:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
        pose[:3, 3] = centre
        camera = Camera(np.array([[32.0, 0, 31.5], [0, 32.0, 23.5], [0, 0, 1]]), pose, 64, 48)
        image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        image = np.full_like(image, 128) if blur else image
        measured = None if depth is None else np.full((48, 64), depth, np.float32)
        return Keyframe(name, 0, image, camera, measured, posed)

    return make
