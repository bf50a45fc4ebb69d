"""A ball in a room, and walls: scenes whose distances are known."""

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe

WIDTH, HEIGHT, FOCAL = 200, 160, 100.0
BALL, RADIUS = np.zeros(3), 0.5
HALF = 1.5
"""The room is a cube from -HALF to HALF about the ball."""


def looking(eye: tuple[float, float, float], at: np.ndarray) -> Camera:
    forward = at - np.array(eye)
    forward = forward / np.linalg.norm(forward)
    down = np.array([0.0, 0, -1]) if abs(forward[2]) < 0.9 else np.array([0.0, 1, 0])
    right = np.cross(down, forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    k = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    return Camera(k, pose, WIDTH, HEIGHT)


def keyframe(camera: Camera, depth: np.ndarray) -> Keyframe:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Keyframe("view", 0, image, camera, depth.astype(np.float32))


def cloud_of(views: list[Keyframe]) -> PointCloud:
    points = np.concatenate([v.camera.unproject(v.depth).reshape(-1, 3) for v in views])
    points = points[np.isfinite(points[:, 2])]
    rows = len(points)
    return PointCloud(
        points,
        np.zeros((rows, 3), np.uint8),
        np.zeros((rows, 3), np.float32),
        np.full(rows, 9, np.float32),
        np.full(rows, OBSERVED, np.uint8),
        np.ones(rows, np.int32),
    )


def ball_in_a_room(camera: Camera) -> np.ndarray:
    """Exact depth of the ball and the walls."""
    rays = camera.rays() @ camera.world_from_camera[:3, :3].T  # z = 1 in the camera: t is depth
    eye = camera.centre
    with np.errstate(divide="ignore"):
        walls = np.where(rays > 0, (HALF - eye) / rays, (-HALF - eye) / rays).min(axis=-1)
    a, b = (rays**2).sum(axis=-1), rays @ (eye - BALL)
    root = b**2 - a * (((eye - BALL) ** 2).sum() - RADIUS**2)
    ball = np.where(root >= 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    return np.minimum(walls, np.where(ball > 0, ball, np.inf))
