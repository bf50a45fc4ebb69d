"""What a triangulated point is worth: its covariance from the rays that meet in it.

With ``J`` the derivative of its pixels in all views by the point and ``sigma`` the pixel error, the
covariance is ``sigma^2 (J^T J)^-1``. ``sigma`` is at least that of all points together, for it is mostly
the error of the poses, and a point of two views shows only the part of it across the epipolar line.
``s`` is the standard deviation along the ray of a view, relative to the depth, and C follows from it as
from a depth camera's (``reconx_ros.geometry.confidence``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.confidence import FLOOR, RHO, presence
from reconx_ros.geometry.sparse.features import Features
from reconx_ros.geometry.sparse.triangulate import SparsePoints

Array = NDArray[np.float64]

LEAST_ERROR = 0.5
"""Pixels; two rays always nearly meet, which does not make a feature more exact."""


def observation_confidence(
    points: SparsePoints, cameras: Sequence[Camera], features: Sequence[Features]
) -> NDArray[np.float32]:
    """Return C >= 1 of each of ``points.observations``: [M] float32.

    Args:
        points: what was triangulated.
        cameras: of each view.
        features: of each view; their pixels against those of the point give the pixel error.
    """
    of_point, of_view, _ = points.observations.T
    residual, jacobian = _linearised(points, cameras, features)
    information = np.zeros((len(points), 3, 3))
    np.add.at(information, of_point, jacobian.transpose(0, 2, 1) @ jacobian)
    count = np.bincount(of_point, minlength=len(points))
    squares = np.bincount(of_point, (residual**2).sum(axis=1), minlength=len(points))
    together = squares.sum() / max(2 * len(of_point) - 3 * len(points), 1)
    variance = np.maximum(squares / np.maximum(2 * count - 3, 1), max(together, LEAST_ERROR**2))
    covariance = variance[:, None, None] * np.linalg.pinv(information, hermitian=True)
    rays = points.points[of_point] - np.array([camera.centre for camera in cameras])[of_view]
    distance = np.linalg.norm(rays, axis=1)
    rays /= distance[:, None]
    along = np.einsum("mi,mij,mj->m", rays, covariance[of_point], rays)
    present = presence(points.views() - 2, np.zeros(len(points), np.int64))[of_point]
    relative = along / distance**2 + FLOOR**2
    return np.asarray(1 + present * RHO**2 / relative, dtype=np.float32)


def _linearised(
    points: SparsePoints, cameras: Sequence[Camera], features: Sequence[Features]
) -> tuple[Array, Array]:
    """Return the residual [M, 2] (pixels) of each observation and its derivative [M, 2, 3]."""
    count = len(points.observations)
    residual, jacobian = np.zeros((count, 2)), np.zeros((count, 2, 3))
    for view, (camera, found) in enumerate(zip(cameras, features, strict=True)):
        rows = np.flatnonzero(points.observations[:, 1] == view)
        place = points.points[points.observations[rows, 0]]
        pixels, depth = camera.project(place)
        residual[rows] = pixels - found.pixels[points.observations[rows, 2]]
        # d (u, v) / d X = (K R - (u, v)^T r_z) / z for the first two rows of K R and r_z the optical axis.
        rotation = camera.camera_from_world[:3, :3]
        both = (camera.intrinsics @ rotation)[:2]
        jacobian[rows] = (both - pixels[:, :, None] * rotation[2]) / depth[:, None, None]
    return residual, jacobian
