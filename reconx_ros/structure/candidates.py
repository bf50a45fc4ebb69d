"""Views worth a look: where a camera could go from a keyframe."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]

SHIFTS = (0.09, 0.25)
"""Lengths of a move, in depths of the keyframe."""

TURNS = (0.3, 0.6)
"""Angles of a turn, in fields of view."""

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))
"""Right and down; corners of the view as well."""


def beyond(camera: Camera, depth: float) -> list[Camera]:
    """Return cameras around ``camera``.

    Back; sideways, up, down and between these while looking at what is ahead (behind edges); turned past
    each border and corner of the view; and turned while moving the other way, from where more of what is
    known remains in view. (Moves without turning were hardly ever chosen.)

    Args:
        camera: a keyframe's.
        depth: how far ahead what it looks at lies.
    """
    field = 2 * np.arctan(np.array([camera.width, camera.height]) / 2 / camera.intrinsics[[0, 1], [0, 1]])
    made = [_moved(camera, np.array([0, 0, -length * depth])) for length in SHIFTS]
    for right, down in DIRECTIONS:
        for length, share in zip(SHIFTS, TURNS, strict=True):
            shift = length * depth * np.array([right, down, 0])
            turn = share * field * (right, down)
            ahead = -np.arctan(length) * np.array([right, down])
            made += [_moved(camera, shift, *ahead), _moved(camera, np.zeros(3), *turn)]
            made.append(_moved(camera, shift * -0.5, *turn))
    return made


def turned(camera: Camera, axis: Array, angle: float) -> Camera:
    """Return ``camera`` turned on the spot about ``axis`` [3] (unit, in the world) by ``angle`` radians."""
    pose = camera.world_from_camera.copy()
    pose[:3, :3] = _rotation(axis * angle) @ pose[:3, :3]
    return camera.moved(pose)


def _moved(camera: Camera, shift: Array, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    """Move by ``shift`` [3] in the camera's axes and look to the right by ``yaw``, down by ``pitch``."""
    pose = camera.world_from_camera.copy()
    pose[:3, 3] += pose[:3, :3] @ shift
    pose[:3, :3] = pose[:3, :3] @ _rotation(np.array([0, yaw, 0])) @ _rotation(np.array([-pitch, 0, 0]))
    return camera.moved(pose)


def _rotation(axis_angle: Array) -> Array:
    import cv2  # noqa: PLC0415

    return np.asarray(cv2.Rodrigues(np.asarray(axis_angle, np.float64))[0])
