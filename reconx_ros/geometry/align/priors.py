"""What the robot knows of its poses and lenses, as terms of the objective."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.normal_equations import Columns
from reconx_ros.geometry.align.rotations import logarithm
from reconx_ros.geometry.align.state import State
from reconx_ros.keyframes.keyframe import Keyframe

Array = NDArray[np.float64]

SURE_POSITION = 1e-3
SURE_ROTATION = np.deg2rad(0.05)
"""No pose is known better than this (metres, radians): covariances of planar robots have zeros."""

OUTLIER = 4.0
"""Mahalanobis distance from which a pose pulls no harder: wheels slip, trackers jump."""


@dataclass(frozen=True, eq=False)
class Priors:
    """Beliefs about N views before any image is looked at.

    Attributes:
        poses: [N, 4, 4] float64 world_from_camera, where known.
        known: [N] bool, whether the pose is known at all.
        hard: [N] bool, whether it stays as it is.
        covariance: [N, 6, 6] float64 of (x, y, z, rotation vector) in the axes of the world.
        focal_deviation: [N] float64, relative; 0 for fixed.
    """

    poses: Array
    known: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    covariance: Array
    focal_deviation: Array

    def of(self, views: Sequence[int]) -> "Priors":
        """Return the beliefs about some views."""
        rows = list(views)
        return Priors(
            self.poses[rows],
            self.known[rows],
            self.hard[rows],
            self.covariance[rows],
            self.focal_deviation[rows],
        )

    @property
    def position_deviation(self) -> float:
        """Typical standard deviation of a known position, world units."""
        variance = np.trace(self.covariance[self.known, :3, :3], axis1=1, axis2=2) / 3
        return float(np.sqrt(np.median(variance))) if self.known.any() else float("inf")


def priors_of(
    keyframes: Sequence[Keyframe],
    config: AlignmentConfig,
    scale: float = 1.0,
    hold: Sequence[int] = (),
) -> Priors:
    """Return what ``keyframes`` say of their own poses and lenses.

    Args:
        keyframes: the views.
        config: how known poses are taken, and the deviations of those without covariance.
        scale: world units that a metre of the configuration stands for.
        hold: views whose known poses stay as they are in any case.

    Raises:
        GeometryError: a pose covariance is not one.
    """
    known = np.array([k.posed and config.poses != "free" for k in keyframes])
    hard = known & (np.isin(np.arange(len(keyframes)), list(hold)) | (config.poses == "hard"))
    calibrated = np.array([k.intrinsics == "calibrated" for k in keyframes])
    spread = [config.position_deviation * scale] * 3 + [np.deg2rad(config.rotation_deviation)] * 3
    usual = np.diag(np.square(spread))
    return Priors(
        np.stack([k.camera.world_from_camera for k in keyframes]),
        known,
        hard,
        np.stack([_covariance(k, usual, scale) for k in keyframes]),
        np.where(calibrated, config.focal_deviation, config.estimated_focal_deviation),
    )


def _covariance(keyframe: Keyframe, usual: Array, scale: float) -> Array:
    """Return the keyframe's covariance, floored; ``usual`` where it has none or all zeros (unknown)."""
    given = keyframe.pose_covariance
    if given is None or not np.any(given):
        return usual
    if not _is_covariance(given):
        raise GeometryError(
            f"keyframe {keyframe.name}: pose covariance of diagonal {given.diagonal().tolist()} must be a "
            "symmetric [6, 6] matrix without negative variances (or all zeros for unknown)"
        )
    least = np.diag(np.square([SURE_POSITION * scale] * 3 + [SURE_ROTATION] * 3))
    return np.asarray(given + least, dtype=np.float64)


def _is_covariance(matrix: Array) -> bool:
    if matrix.shape != (6, 6) or not np.isfinite(matrix).all():
        return False
    symmetric = np.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-9)
    return bool(symmetric and np.linalg.eigvalsh(matrix)[0] >= -1e-9 * np.abs(matrix).max())


@dataclass(frozen=True, eq=False)
class PriorTerms:
    """The priors at a state: half the square of their robust distance, and its normal equations."""

    loss: float
    h: Tensor
    g: Tensor


def prior_terms(priors: Priors, state: State, columns: Columns) -> PriorTerms:
    """Measure the priors at ``state``; the unknowns are those of ``columns``."""
    size = columns.count + 1
    h, g, loss = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64), 0.0
    for view in np.flatnonzero(priors.known & ~priors.hard).tolist():
        error, slope = pose_error(priors.poses[view], state.poses[view].numpy())
        information = np.linalg.inv(priors.covariance[view])
        distance = float(np.sqrt(error @ information @ error))
        pull = min(1.0, OUTLIER / max(distance, 1e-12))
        loss += 0.5 * distance**2 if pull == 1.0 else OUTLIER * (distance - 0.5 * OUTLIER)
        where = columns.pose[view]
        block = torch.from_numpy(pull * slope.T @ information)
        h[where[:, None], where[None]] += block @ torch.from_numpy(slope)
        g[where] -= block @ torch.from_numpy(error)
    for view in np.flatnonzero(priors.focal_deviation > 0).tolist():
        strength, where = float(priors.focal_deviation[view]) ** -2, columns.focal[view]
        loss += 0.5 * strength * float(state.log_focal[view] ** 2)
        h[where, where] += strength
        g[where] -= strength * state.log_focal[view]
    return PriorTerms(loss, h[:-1, :-1], g[:-1])


def pose_error(believed: Array, pose: Array) -> tuple[Array, Array]:
    """Return how far ``pose`` is from ``believed`` [6], and its derivative [6, 6] by a step.

    The error is (difference of positions, rotation vector from one to the other) in the world's axes;
    a step is a translation and a rotation vector in the camera frame of ``pose``.
    """
    turned = logarithm((pose[:3, :3] @ believed[:3, :3].T)[None])[0]
    slope = np.zeros((6, 6))
    slope[:3, :3] = slope[3:, 3:] = pose[:3, :3]
    return np.concatenate([pose[:3, 3] - believed[:3, 3], turned]), slope
