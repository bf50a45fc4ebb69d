"""Weighted Procrustes: the similarity transform between two sets of corresponding points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDS = 5
"""Rounds of reweighting of the robust fit."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """x -> scale * rotation x + translation.

    Attributes:
        scale: positive.
        rotation: [3, 3] float64.
        translation: [3] float64.
    """

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Map points [..., 3]."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation, dtype=np.float64)

    def apply_pose(self, world_from_camera: Array) -> Array:
        """Map a pose [4, 4]; it stays a rigid transform."""
        return pose_of(
            self.rotation @ world_from_camera[:3, :3], self.apply(world_from_camera[None, :3, 3])[0]
        )

    @property
    def pose(self) -> Array:
        """[4, 4] without the scale: where the camera is whose frame is mapped."""
        return pose_of(self.rotation, self.translation)

    @staticmethod
    def identity() -> "Similarity":
        """Return the map that changes nothing."""
        return Similarity(1.0, np.eye(3), np.zeros(3))


def pose_of(rotation: Array, translation: Array) -> Array:
    """Return the [4, 4] transform of a rotation [3, 3] and a translation [3]."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return pose


def fit_similarity(source: Array, target: Array, weight: Array, with_scale: bool = True) -> Similarity:
    """Return the similarity that minimises ``sum w ||target - S(source)||^2`` (Umeyama 1991).

    Args:
        source: [N, 3].
        target: [N, 3].
        weight: [N], not negative.
        with_scale: whether the scale is fitted; otherwise it is 1.
    """
    share = weight / weight.sum()
    middle, aim = share @ source, share @ target
    centred, aimed = source - middle, target - aim
    left, stretch, right = np.linalg.svd((aimed * share[:, None]).T @ centred)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    spread = share @ (centred**2).sum(1)
    scale = float(stretch @ sign / spread) if with_scale and spread > 0 else 1.0
    return Similarity(scale, rotation, aim - scale * rotation @ middle)


def fit_robustly(source: Array, target: Array, weight: Array, with_scale: bool = True) -> Similarity:
    """Fit a similarity that a minority of wrong points does not turn.

    Reweighted least squares with the Geman-McClure kernel, whose width is the weighted median residual.
    """
    fit, factor = fit_similarity(source, target, weight, with_scale), weight
    for _ in range(ROUNDS):
        residual = np.linalg.norm(target - fit.apply(source), axis=1)
        width = weighted_median(residual, weight)
        if width <= 0:
            break
        factor = weight / (1 + (residual / (2 * width)) ** 2) ** 2
        fit = fit_similarity(source, target, factor, with_scale)
    return fit


def weighted_median(values: Array, weight: Array) -> float:
    """Return the smallest of ``values`` [N] that half of the total ``weight`` [N] does not exceed."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(total, total[-1] / 2)]])
