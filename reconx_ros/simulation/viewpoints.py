"""Where the cameras of a training clip stand: two references, and targets between and beyond them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.simulation.paths import clearance, look_at
from reconx_ros.simulation.stages import Stage

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

MARGIN = 0.3
TRIES = 24


def free_eye(stage: Stage, random: np.random.Generator) -> Array | None:
    """Return an eye position [3] at least ``MARGIN`` from everything, or ``None`` after many tries."""
    eyes = random.uniform(stage.low, stage.high, (TRIES, 3))
    free = np.flatnonzero(clearance(stage.scene, eyes) > MARGIN)
    return eyes[free[0]] if len(free) else None


def looking(eye: Array, stage: Stage, random: np.random.Generator) -> Array:
    """Return a pose [4, 4] at ``eye`` toward somewhere in the scene, a little tilted."""
    middle = (np.array(stage.low) + stage.high) / 2
    spread = (np.array(stage.high) - stage.low) / 2
    target = middle + spread * random.uniform(-1.3, 1.3, 3)
    if np.linalg.norm((target - eye)[:2]) < 0.5:
        target = eye + np.append(random.normal(0, 1, 2), random.normal(0, 0.2)) + 1e-3
    pose: Array = look_at(eye[None], target[None])[0] @ turned(*random.normal(0, (0.03, 0.03, 0.06)))
    return pose


def turned(pitch: float, yaw: float, roll: float) -> Array:
    """Return a rotation [4, 4] about the camera's own axes, radians; positive yaw looks right."""
    turn = np.eye(4)
    for axis, angle in ((0, pitch), (1, yaw), (2, roll)):
        step = np.eye(4)
        step[:3, :3] = cv2.Rodrigues(np.eye(3)[axis] * angle)[0]
        turn = turn @ step
    return turn


def second_reference(first: Array, far: float, stage: Stage, random: np.random.Generator) -> Array | None:
    """Return a pose [4, 4] near ``first`` that sees much of the same, or ``None``."""
    for _ in range(TRIES):
        move = random.normal(0, 1, 3) * far * random.uniform(0.03, 0.16)
        yaw, pitch, roll = random.normal(0, (0.22, 0.08, 0.04))
        pose: Array = first @ turned(pitch, yaw, roll)
        pose[:3, 3] += first[:3, :3] @ move
        if clearance(stage.scene, pose[None, :3, 3])[0] > MARGIN:
            return pose
    return None


def between(references: Array, share: float, random: np.random.Generator) -> Array:
    """Return the pose [4, 4] at ``share`` of the way from the first to the second, a little off."""
    first, second = references
    axis, _ = cv2.Rodrigues(first[:3, :3].T @ second[:3, :3])
    pose: Array = first.copy()
    pose[:3, :3] = first[:3, :3] @ cv2.Rodrigues(axis * share)[0]
    apart = second[:3, 3] - first[:3, 3]
    pose[:3, 3] += share * apart + random.normal(0, 0.08, 3) * np.linalg.norm(apart)
    return pose


def beyond(references: Array, far: float, reach: float, random: np.random.Generator) -> Array:
    """Return a pose [4, 4] turned and moved away from a reference; ``reach`` from 0 to 1 says how far."""
    pose = references[int(random.integers(2))]
    heading = random.uniform(0, 2 * np.pi)
    yaw, pitch = 1.05 * reach * np.cos(heading), 0.8 * reach * np.sin(heading)
    turn = turned(pitch, yaw, random.normal(0, 0.1))
    result: Array = pose @ turn
    result[:3, 3] += pose[:3, :3] @ (random.normal(0, 0.35, 3) * reach * far * (0.9, 0.6, 0.7))
    return result


def hole_share(
    references: Array, depths: list[Floats], intrinsics: Array, target: Array, size: tuple[int, int]
) -> float:
    """Estimate which share of ``target`` no reference shows, on a raster eight times coarser.

    Args:
        references: [2, 4, 4].
        depths: the references' depths [H, W], NaN where unknown.
        intrinsics: [3, 3].
        target: [4, 4].
        size: H, W.
    """
    rows, columns = (-(-side // 8) for side in size)
    seen = np.zeros((rows, columns), np.uint8)
    v, u = np.mgrid[0 : size[0] : 4, 0 : size[1] : 4]
    rays = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3) @ np.linalg.inv(intrinsics).T
    for pose, depth in zip(references, depths, strict=True):
        far = depth[::4, ::4].reshape(-1, 1)
        relative = np.linalg.inv(target) @ pose
        local = (rays * far) @ relative[:3, :3].T + relative[:3, 3]
        local = local[np.isfinite(far[:, 0]) & (local[:, 2] > 0.05)]
        pixel = np.floor((local @ intrinsics.T)[:, :2] / local[:, 2:] / 8 + 1 / 16).astype(int)
        inside = ((pixel >= 0) & (pixel < (columns, rows))).all(1)
        seen[pixel[inside, 1], pixel[inside, 0]] = 1
    return 1.0 - float(seen.mean())
