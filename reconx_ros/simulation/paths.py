"""Camera paths through free space: smooth, hand-held, never inside a thing."""

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.errors import SourceError
from reconx_ros.simulation.scene import Scene
from reconx_ros.simulation.solids import surface_distance

Array = NDArray[np.float64]


def clearance(scene: Scene, points: Array) -> Array:
    """Return how far points [N, 3] are from the nearest surface of the first scene, negative inside.

    Rooms count from within: a point outside a room has a negative clearance.
    """
    where = torch.from_numpy(np.asarray(points, dtype=np.float32))[None]
    distance = surface_distance(scene.solids, where)[0]
    inward = torch.where(scene.hollow[0][:, None], -distance, distance)
    result: Array = inward.amin(0).double().numpy()
    return result


def look_at(eye: Array, target: Array) -> Array:
    """Return world_from_camera [N, 4, 4] at ``eye`` [N, 3] looking at ``target`` [N, 3], horizon level."""
    forward = (target - eye) / np.linalg.norm(target - eye, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    poses = np.tile(np.eye(4), (len(eye), 1, 1))
    poses[:, :3, :3] = np.stack([right, np.cross(forward, right), forward], axis=2)
    poses[:, :3, 3] = eye
    return poses


def orbit_path(scene: Scene, frames: int, seed: int = 0, turns: float = 1.0, margin: float = 0.25) -> Array:
    """Return a hand-held walk around the middle of a room, looking across it.

    Args:
        scene: a batch of one with a room.
        frames: number of poses.
        seed: of the hand's sway and of where the camera looks.
        turns: times around the room.
        margin: metres kept from every surface.

    Returns:
        world_from_camera [frames, 4, 4] float64.

    Raises:
        SourceError: no such path keeps the margin in this scene.
    """
    random = np.random.default_rng([seed, 71])
    start, phases = random.uniform(0, 2 * np.pi), random.uniform(0, 2 * np.pi, (6, 3))
    half = _room(scene)
    for radius in np.linspace(0.62, 0.2, 8):
        angle = start + np.linspace(0.0, 2 * np.pi * turns, frames, endpoint=turns != 1.0)
        sway = _sway(angle, phases)
        ring = np.stack([np.cos(angle) * half[0], np.sin(angle) * half[1]], axis=1)
        eye = np.column_stack([radius * ring * (1 + 0.08 * sway[:, :1]), 1.45 + 0.16 * sway[:, 1]])
        target = np.column_stack([-0.75 * ring + 0.35 * sway[:, 2:4], 0.85 + 0.25 * sway[:, 4]])
        if clearance(scene, eye).min() >= margin:
            return _tilted(look_at(eye, target), 0.03 * sway[:, 5])
    raise SourceError(f"no orbit of the room keeps {margin} m from every surface; use another seed")


def _room(scene: Scene) -> Array:
    """Return half the floor size [2] of the scene's room."""
    rooms = scene.hollow[0].nonzero()[:, 0]
    if len(rooms) == 0:
        raise SourceError("an orbit needs a room, and this scene has none")
    half: Array = scene.solids.half[0, rooms[0], :2].double().numpy()
    return half


def _sway(angle: Array, phases: Array) -> Array:
    """Return [N, 6] smooth, roughly unit signals: sums of three slow sines."""
    waves = [np.sin(rate * angle[:, None] + phases[None, :, at]) for at, rate in enumerate((1, 3, 5))]
    return (0.6 * waves[0] + 0.3 * waves[1] + 0.1 * waves[2]).astype(np.float64)


def _tilted(poses: Array, roll: Array) -> Array:
    """Turn cameras [N, 4, 4] about their optical axes by ``roll`` [N] radians."""
    turn = np.tile(np.eye(4), (len(poses), 1, 1))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(roll)
    turn[:, 1, 0], turn[:, 0, 1] = np.sin(roll), -np.sin(roll)
    result: Array = poses @ turn
    return result
