"""The cameras of a clip: straight where that is free, bent around what is in the way, or none.

Only a path between two keyframes is bent: of views beyond there are many, so those that cannot be reached
straight are left out.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.structure.free_space import FreeSpace
from reconx_ros.structure.path import Knot, through

Array = NDArray[np.float64]

BENDS = (1.5, 3.0, 5.0)
"""How far the middle of a path is moved aside, in clearances, until it is free."""

SIDES = 8
"""Directions in which a bend is tried."""


def route(
    ends: tuple[Camera, Camera], count: int, space: FreeSpace, passed: Sequence[Camera]
) -> tuple[list[Knot], str | None]:
    """Return the knots of a free path of ``count`` frames and what was done about an obstacle.

    Args:
        ends: first and last camera.
        count: frames, both ends included.
        space: where a camera may be.
        passed: those of the ends that are keyframes.

    Returns:
        Knots from frame 0 to ``count`` − 1, none where no path is free; and a note, ``None`` where the
        straight path is free.
    """
    straight = [Knot(0, ends[0]), Knot(count - 1, ends[1])]
    path = through(straight)
    why = space.obstacle(path, passed)
    if why is None:
        return straight, None
    if count > 2 and len(passed) == len(ends):
        middle = path[count // 2]
        for aside in _bends(ends, space.clearance):
            pose = middle.world_from_camera.copy()
            pose[:3, 3] += aside
            bent = [straight[0], Knot(count // 2, middle.moved(pose)), straight[1]]
            if space.obstacle(through(bent), passed) is None:
                return bent, f"bent aside by {np.linalg.norm(aside):.2g}, for straight it {why}"
    return [], f"left out: {why}"


def _bends(ends: tuple[Camera, Camera], clearance: float) -> Iterator[Array]:
    """Yield offsets [3] across the straight line between the ends, small ones first."""
    along = ends[1].centre - ends[0].centre
    length = float(np.linalg.norm(along))
    if length == 0:
        return
    up = -ends[0].world_from_camera[:3, 1]
    across = np.cross(along, up)
    if np.linalg.norm(across) < 0.1 * length:  # straight up or down
        across = np.cross(along, ends[0].world_from_camera[:3, 2])
    across /= np.linalg.norm(across)
    other = np.cross(across, along / length)
    for far in BENDS:
        for angle in 2 * np.pi * np.arange(SIDES) / SIDES:
            yield far * clearance * (np.cos(angle) * across + np.sin(angle) * other)


def chained(parts: Sequence[Sequence[Knot]]) -> list[Knot]:
    """Join clips that end where the next begins: each begins at the frame that the one before ends at."""
    knots: list[Knot] = list(parts[0])
    for part in parts[1:]:
        start = knots[-1].frame
        knots += [Knot(start + knot.frame, knot.camera) for knot in part[1:]]
    return knots
