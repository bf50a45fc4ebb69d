"""Textured planes seen from several places, drawn exactly."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe

Array = NDArray[np.float64]


def _texture(seed: int) -> NDArray[np.float32]:
    """Return 1024 x 1024 x 3 values in [0, 1] with detail at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((1024, 1024, 3), np.float32)
    for size in (16, 64, 256):
        coarse = rng.random((size, size, 3), np.float32)
        total += cv2.resize(coarse, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    return np.clip(total / 3, 0, 1)


def look_from(centre: Sequence[float], width: int = 240, height: int = 180, turn: float = 0.0) -> Camera:
    """Return a camera at ``centre`` that looks along z, turned by ``turn`` radians about y."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.0, turn, 0.0]))[0]
    pose[:3, 3] = centre
    focal = 0.9 * width
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(intrinsics, pose, width, height)


def _hit(camera: Camera, normal: Array, point: Array) -> Array:
    rays = camera.rays() @ camera.world_from_camera[:3, :3].T
    return np.asarray((normal @ (point - camera.centre)) / (rays @ normal))


class Room:
    """A wall, optionally slanted, with a box face before it."""

    def __init__(self, slant: float = 0.0, box: bool = False, texture: bool = True) -> None:
        self.planes = [(np.array([-slant, 0, -1.0]), np.array([0.0, 0, 2.0]), 100.0)]
        if box:
            self.planes.append((np.array([0, 0, -1.0]), np.array([0.0, 0, 1.5]), 0.35))
        self.textures = [_texture(seed) if texture else np.full((1024, 1024, 3), 0.5) for seed in (1, 2)]

    def view(self, camera: Camera, name: str, noise: float = 0.004) -> Keyframe:
        """Return colour and exact depth from ``camera``."""
        rays = camera.rays() @ camera.world_from_camera[:3, :3].T
        image = np.zeros((camera.height, camera.width, 3), np.float32)
        depth = np.full((camera.height, camera.width), np.inf)
        for (normal, point, half), texture in zip(self.planes, self.textures, strict=False):
            z = _hit(camera, normal, point)
            at = camera.centre + z[..., None] * rays
            u, v = (((at[..., axis] + 3) * 170).astype(np.float32) for axis in (0, 1))
            colour = cv2.remap(
                texture.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
            )
            nearer = (z > 0) & (z < depth) & (np.abs(at[..., :2]) < half).all(axis=-1)
            image[nearer], depth[nearer] = colour[nearer], z[nearer]
        noisy = image + np.random.default_rng(len(name)).normal(0, noise, image.shape)
        return Keyframe(
            name, 0, np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8), camera, depth.astype(np.float32)
        )


@pytest.fixture
def room() -> type[Room]:
    """The class of scenes."""
    return Room


@pytest.fixture
def camera_at() -> Callable[..., Camera]:
    """A camera at a place, looking along z."""
    return look_from
