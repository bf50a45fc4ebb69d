"""Smooth camera paths through given cameras."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]

FASTEST = 1.5
"""Speed at a knot, at most, over that of the slower of its two pieces: keeps pieces from overshooting."""


@dataclass(frozen=True, eq=False)
class Knot:
    """A camera that the path passes.

    Attributes:
        frame: its frame number.
        camera: returned as it is.
    """

    frame: int
    camera: Camera


def interpolate(first: Camera, last: Camera, count: int) -> list[Camera]:
    """Return ``count`` >= 2 cameras from ``first`` to ``last``, both included as they are.

    The optical centre moves on a straight line at constant speed and the rotation turns about one axis
    at constant speed (slerp). Image size is that of ``first``; where ``last`` has the same size the
    intrinsics move linearly.
    """
    return through([Knot(0, first), Knot(count - 1, last)])


def through(knots: Sequence[Knot]) -> list[Camera]:
    """Return the cameras of all frames from the first knot to the last, knots included as they are.

    Centres follow a cubic Hermite spline over the frame number: velocity is continuous (the mean of
    both neighbouring pieces, at most ``FASTEST`` times the slower), so with L the longest piece and n its
    frames the velocity changes from frame to frame by less than 15 L / n². Rotations follow a spline of
    continuous angular acceleration (``scipy.spatial.transform.RotationSpline``). With two knots both
    are uniform.

    Args:
        knots: at least two, of increasing frame number.
    """
    from scipy.interpolate import CubicHermiteSpline  # noqa: PLC0415 - slow to import
    from scipy.spatial.transform import Rotation, RotationSpline  # noqa: PLC0415

    at = np.array([knot.frame for knot in knots], dtype=np.float64)
    frames = np.arange(knots[0].frame, knots[-1].frame + 1)
    centres = np.stack([knot.camera.centre for knot in knots])
    path = CubicHermiteSpline(at, centres, _velocities(at, centres))(frames)
    turns = Rotation.from_matrix(np.stack([knot.camera.world_from_camera[:3, :3] for knot in knots]))
    rotations = RotationSpline(at, turns)(frames).as_matrix()
    lenses = _intrinsics(at, knots, frames)
    given = {knot.frame: knot.camera for knot in knots}
    return [
        given.get(int(frame)) or _posed(knots[0].camera, *values)
        for frame, *values in zip(frames, rotations, path, lenses, strict=True)
    ]


def _velocities(at: Array, centres: Array) -> Array:
    """Return the velocity [K, 3] at each knot, per frame."""
    pieces = np.diff(centres, axis=0) / np.diff(at)[:, None]
    speed = np.linalg.norm(pieces, axis=1)
    inner = (centres[2:] - centres[:-2]) / (at[2:] - at[:-2])[:, None]
    most = FASTEST * np.minimum(speed[1:], speed[:-1])
    length = np.linalg.norm(inner, axis=1)
    inner *= np.minimum(1, most / np.maximum(length, 1e-300))[:, None]
    return np.concatenate([pieces[:1], inner, pieces[-1:]])


def _intrinsics(at: Array, knots: Sequence[Knot], frames: NDArray[np.int64]) -> Array:
    """Return [F, 3, 3]: linear from knot to knot; those of the first where sizes differ."""
    first = knots[0].camera
    same = [(k.camera.width, k.camera.height) == (first.width, first.height) for k in knots]
    given = np.stack(
        [(k.camera if fits else first).intrinsics for k, fits in zip(knots, same, strict=True)]
    )
    columns = [np.interp(frames, at, column) for column in given.reshape(len(knots), 9).T]
    return np.stack(columns, axis=1).reshape(-1, 3, 3)


def _posed(like: Camera, rotation: Array, centre: Array, intrinsics: Array) -> Camera:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, centre
    return replace(like, intrinsics=intrinsics, world_from_camera=pose)
