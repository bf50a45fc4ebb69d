"""Poses made to fit the images: odometry is centimetres off, a pixel of matching is millimetres.

The matches ``(p, q)`` of view pairs pull on the poses through their Sampson distance, the first-order
distance in pixels to an exact correspondence (Hartley and Zisserman 2004, 11.4.3), with a robust loss;
the given poses hold with Gaussian priors, which also fix what matches cannot see: place, heading, scale.
Points are not needed, so the normal equations have six unknowns a view and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]
Matches = tuple[Array, Array]
"""Pixels [M, 2] in the first and in the second view of a pair."""

ITERATIONS = 8

LOSS = 1.5
"""Pixels at a width of 640: Sampson distance at which a match begins to lose its pull (Cauchy)."""

STEP = 1e-6
"""Of the numeric derivatives, in radians and in scene depths."""


@dataclass(frozen=True)
class PosePrior:
    """How far a given pose may be off: standard deviations.

    Attributes:
        rotation: radians.
        translation: world units.
    """

    rotation: float
    translation: float


def refine_poses(
    cameras: Sequence[Camera],
    pairs: Mapping[tuple[int, int], Matches],
    free: Sequence[int],
    prior: PosePrior,
) -> list[Camera]:
    """Return ``cameras`` with the poses of the views in ``free`` made to fit the matches.

    Args:
        cameras: with the given poses.
        pairs: matches by the indices of their views; pairs without baseline say nothing.
        free: indices of the views that may move, each by a few ``prior`` at most.
        prior: how far.
    """
    column = {view: 6 * i for i, view in enumerate(free)}
    used = {ends: m for ends, m in pairs.items() if (ends[0] in column or ends[1] in column) and len(m[0])}
    scale = np.array([prior.rotation] * 3 + [prior.translation] * 3)
    offset = np.zeros(6 * len(free))
    moved = list(cameras)
    if not used:
        return moved
    for iteration in range(ITERATIONS):
        loosen = max(1.0, 8.0 * 0.5**iteration)  # first the coarse errors, then the fine ones
        hessian, gradient = np.eye(len(offset)), offset.copy()
        for (one, two), matches in used.items():
            _add_pair(moved, one, two, matches, column, scale, loosen, hessian, gradient)
        offset = offset - np.linalg.solve(hessian, gradient)
        for view, at in column.items():
            moved[view] = _moved(cameras[view], offset[at : at + 6] * scale)
    return moved


def sampson_distance(p: Array, q: Array, one: Camera, two: Camera) -> Array:
    """Return the signed Sampson distance in pixels of the matches p, q [M, 2], [M]."""
    two_from_one = two.camera_from_world @ one.world_from_camera
    t = two_from_one[:3, 3]
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    essential = cross @ two_from_one[:3, :3]
    fundamental = np.linalg.inv(two.intrinsics).T @ essential @ np.linalg.inv(one.intrinsics)
    ph, qh = np.c_[p, np.ones(len(p))], np.c_[q, np.ones(len(q))]
    line_two, line_one = ph @ fundamental.T, qh @ fundamental
    square = np.square(line_one[:, :2]).sum(axis=1) + np.square(line_two[:, :2]).sum(axis=1)
    return np.asarray((qh * line_two).sum(axis=1) / np.sqrt(np.maximum(square, 1e-30)))


def _add_pair(
    cameras: Sequence[Camera],
    one: int,
    two: int,
    matches: Matches,
    column: Mapping[int, int],
    scale: Array,
    loosen: float,
    hessian: Array,
    gradient: Array,
) -> None:
    """Add a pair's weighted normal equations, in units of the prior."""
    residual = sampson_distance(*matches, cameras[one], cameras[two])
    sigma = LOSS * cameras[one].width / 640
    weight = 1 / (sigma**2 * (1 + np.square(residual / (loosen * sigma))))
    slopes = [
        (column[view], _slopes(cameras, (one, two), view, matches, residual, scale))
        for view in (one, two)
        if view in column
    ]
    for at, slope in slopes:
        gradient[at : at + 6] += slope.T @ (weight * residual)
        for other, across in slopes:
            hessian[at : at + 6, other : other + 6] += slope.T @ (weight[:, None] * across)


def _slopes(
    cameras: Sequence[Camera],
    pair: tuple[int, int],
    view: int,
    matches: Matches,
    residual: Array,
    scale: Array,
) -> Array:
    """Return the numeric derivative [M, 6] of the residuals by the motion of ``view``."""
    columns = []
    for axis in range(6):
        step = np.zeros(6)
        step[axis] = STEP * scale[axis]
        nudged = _moved(cameras[view], step)
        ends = (nudged if index == view else cameras[index] for index in pair)
        columns.append((sampson_distance(*matches, *ends) - residual) / STEP)
    return np.stack(columns, axis=1)


def _moved(camera: Camera, motion: Array) -> Camera:
    """Return the camera turned about its own axes (first three numbers) and moved in the world."""
    pose = camera.world_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(motion[:3])[0]
    pose[:3, 3] += motion[3:]
    return replace(camera, world_from_camera=pose)
