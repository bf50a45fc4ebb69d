"""Pictures and scenes whose right answer is known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe

Picture = NDArray[np.float32]


@pytest.fixture
def waves() -> Picture:
    """A [72, 96, 3] picture with smooth colour and sharp edges."""
    rows, columns = np.mgrid[0:72, 0:96].astype(np.float64)
    red, green = 0.5 + 0.4 * np.sin(columns / 7), 0.5 + 0.4 * np.cos(rows / 5)
    image = np.stack([red, green, 0.5 + 0.3 * np.sin((rows + columns) / 11)], axis=-1)
    image[20:40, 30:60] = [0.9, 0.2, 0.1]
    return image.astype(np.float32)


@pytest.fixture
def patch() -> Callable[[float, float, float], Picture]:
    """A [24, 24, 3] picture of one colour."""
    return lambda *colour: np.full((24, 24, 3), colour, np.float32)


@pytest.fixture
def camera_at() -> Callable[..., Camera]:
    """A 96 x 72 camera at x, y, z that looks along z."""

    def build(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Camera:
        pose = np.eye(4)
        pose[:3, 3] = x, y, z
        return Camera(np.array([[80.0, 0, 47.5], [0, 80.0, 35.5], [0, 0, 1]]), pose, 96, 72)

    return build


@pytest.fixture
def plane_view(camera_at: Callable[..., Camera]) -> Callable[..., Keyframe]:
    """A view of a smoothly coloured wall at z = 2, every pixel exact; ``box`` adds a square at z = 1."""

    def build(
        x: float = 0.0, y: float = 0.0, z: float = 0.0, box: bool = False, name: str = "v"
    ) -> Keyframe:
        camera = camera_at(x, y, z)
        depth = np.full((72, 96), 2.0 - z, np.float32)
        near = camera.unproject(np.full((72, 96), 1.0 - z, np.float32))
        on_box = box & (np.abs(near[..., :2]) < 0.15).all(axis=-1)
        depth[on_box] = 1.0 - z
        points = camera.unproject(depth)
        waves = [
            np.sin(3 * points[..., 0]),
            np.cos(4 * points[..., 1]),
            np.sin(5 * points[..., :2].sum(-1)),
        ]
        image = np.rint(127 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)
        image[on_box] = [250, 20, 20]
        return Keyframe(name, 0, image, camera, depth)

    return build
