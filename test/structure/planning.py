"""Scenes of planes as clouds of what given cameras see of them, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A rectangle across ``axis`` at ``at``, ``low`` to ``high`` (the entry of ``axis`` does not count)."""

    axis: int
    at: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    toward: float = -1.0

    def meets(self, origin: Array, rays: Array) -> Array:
        """Return how far along ``rays`` [N, 3] from ``origin`` it is met; infinite where it is not."""
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (self.at - origin[self.axis]) / rays[:, self.axis]
        far = np.where(np.isfinite(far), far, -1)
        points = origin + far[:, None] * rays
        others = [axis for axis in range(3) if axis != self.axis]
        inside = ((points >= self.low) & (points <= self.high))[:, others].all(axis=1)
        return np.where(inside & (far > 1e-9), far, np.inf)


def wall(z: float, half: tuple[float, float] = (9, 9), x: float = 0) -> Panel:
    """A wall across the optical axis that faces the origin."""
    return Panel(2, z, (x - half[0], -half[1], 0), (x + half[0], half[1], 0))


def shot(planes: Sequence[Panel], camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return depth [h, w] (infinite where nothing is) and the number of the panel seen."""
    rays = camera.rays().reshape(-1, 3) @ camera.world_from_camera[:3, :3].T
    met = np.stack([plane.meets(camera.centre, rays) for plane in planes])
    shape = (camera.height, camera.width)
    return met.min(axis=0).astype(np.float32).reshape(shape), met.argmin(axis=0).reshape(shape)


def cloud_of(planes: Sequence[Panel], cameras: Sequence[Camera]) -> PointCloud:
    """Return every point that the cameras see, one a pixel, with exact normals."""
    points, normals = [], []
    for camera in cameras:
        depth, which = shot(planes, camera)
        met = np.isfinite(depth)
        points.append(camera.unproject(np.where(met, depth, 0))[met])
        table = np.zeros((len(planes), 3), np.float32)
        for number, plane in enumerate(planes):
            table[number, plane.axis] = plane.toward
        normals.append(table[which][met])
    return cloud(np.concatenate(points), np.concatenate(normals))


def cloud(points: Array, normals: Array) -> PointCloud:
    n = len(points)
    return PointCloud(
        np.asarray(points, np.float32),
        np.full((n, 3), 128, np.uint8),
        np.asarray(normals, np.float32),
        np.full(n, 4, np.float32),
        np.zeros(n, np.uint8),
        np.ones(n, np.int32),
    )


def camera(
    x: float = 0, y: float = 0, z: float = 0, yaw: float = 0, focal: float = 120, width: int = 160
) -> Camera:
    """A camera that looks along z, turned right by ``yaw`` degrees; 67 by 53 degrees wide."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
    pose[:3, 3] = (x, y, z)
    height = 3 * width // 4
    lens = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(lens, pose, width, height)


def keyframe(where: Camera, posed: bool = True) -> Keyframe:
    return Keyframe("a", 0, np.zeros((where.height, where.width, 3), np.uint8), where, posed=posed)


def film(planes: Sequence[Panel], cameras: Sequence[Camera]) -> tuple[list[Keyframe], PointCloud]:
    """Return keyframes of the cameras and the cloud of what they see."""
    return [keyframe(each) for each in cameras], cloud_of(planes, cameras)
