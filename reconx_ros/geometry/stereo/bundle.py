"""Poses and the inverse depths of features, adjusted together: what ties the baselines to each other.

A pair of views alone says nothing of the length of its baseline, and depth is proportional to that. A
feature ``p`` of view ``i`` has one inverse depth ``w`` for all its matches ``q_j``:

    r_j = q_j - project_j(unproject_i(p, w))

so that baselines from ``i`` must agree in their ratios, and errors of single poses average out. The
residuals pull with a Cauchy loss, the given poses hold with Gaussian priors, and each ``w`` is
eliminated from the normal equations (Schur complement; Triggs et al. 2000), which leaves six unknowns a
view.

In ``fit_focal`` the logarithm of the focal length joins them: how far the one that the matches fit best is
from the given one says whether that can be right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.stereo.derivatives import Unknowns, add_star, moved, zoomed
from reconx_ros.geometry.stereo.reprojection import Star

Array = NDArray[np.float64]

ITERATIONS = 8

FOCAL_ITERATIONS = 7

FOCAL_PRIOR = 0.1
"""Deviation of the logarithm of a given focal length: wide, for matches to decide."""


LEAST_TOLD = 1e-2
"""Of the prior's, the least that matches count as telling about a focal length."""


@dataclass(frozen=True)
class PosePrior:
    """How far a given pose may be off: standard deviations.

    Attributes:
        rotation: radians.
        translation: world units.
    """

    rotation: float
    translation: float


@dataclass(frozen=True)
class FocalFit:
    """The focal length that matches fit, beside the given one.

    Attributes:
        ratio: fitted over given.
        deviation: standard deviation of its logarithm.
        strain: root mean square of how far the poses moved, in deviations of their prior.
    """

    ratio: float
    deviation: float
    strain: float


class Bundle:
    """Views, matches and priors; the poses found so far."""

    def __init__(
        self, cameras: Sequence[Camera], stars: Sequence[Star], free: Sequence[int], prior: PosePrior
    ) -> None:
        """Create it.

        Args:
            cameras: with the given poses.
            stars: matches; each is used for the poses of all its views.
            free: indices of the views that may move, each by a few ``prior`` at most.
            prior: how far.
        """
        self._given, self._free = cameras, free
        self._stars = [star for star in stars if len(star.pixels)]
        self._scale = np.array([prior.rotation] * 3 + [prior.translation] * 3)
        self._poses = np.zeros(6 * len(free))

    def adjust(self) -> list[Camera]:
        """Return the cameras with the poses of the free views adjusted to the matches."""
        self._poses, _ = self._solve(self._poses, {}, ITERATIONS)
        return self._at(self._poses, {})

    @property
    def strain(self) -> float:
        """Root mean square of how far ``adjust`` moved the poses, in deviations of their prior."""
        return _strain(self._poses)

    def fit_focal(self, groups: Mapping[int, int]) -> dict[int, FocalFit]:
        """Return the focal length that fits for each group of views.

        Args:
            groups: number, from 0, of the intrinsics of each view that is to be asked about.
        """
        count = 1 + max(groups.values(), default=-1)
        if not self._stars or not count:
            return {}
        offset, hessian = self._solve(np.r_[self._poses, np.zeros(count)], groups, FOCAL_ITERATIONS)
        poses, focals = np.split(offset, [len(self._poses)])
        variances = np.linalg.inv(hessian).diagonal()[len(self._poses) :]
        strain = _strain(poses)
        return {group: _fit(focals[group], variances[group], strain) for group in range(count)}

    def _solve(self, offset: Array, groups: Mapping[int, int], iterations: int) -> tuple[Array, Array]:
        """Return the unknowns after some steps of Gauss and Newton, and the last Hessian."""
        unknowns = self._unknowns(groups)
        hessian = np.eye(len(offset))
        for iteration in range(iterations if self._stars else 0):
            loosen = max(1.0, 8.0 * 0.6**iteration)  # first the coarse errors, then the fine ones
            hessian, gradient = np.eye(len(offset)), offset.copy()
            cameras = self._at(offset, groups)
            for star in self._stars:
                add_star(cameras, star, unknowns, loosen, hessian, gradient)
            offset = offset - np.linalg.solve(hessian, gradient)
        return offset, hessian

    def _unknowns(self, groups: Mapping[int, int]) -> Unknowns:
        pose = {view: 6 * i for i, view in enumerate(self._free)}
        focal = {view: len(self._poses) + group for view, group in groups.items()}
        return Unknowns(pose, self._scale, focal, FOCAL_PRIOR)

    def _at(self, offset: Array, groups: Mapping[int, int]) -> list[Camera]:
        """Return the cameras where the unknowns are."""
        cameras = list(self._given)
        for i, view in enumerate(self._free):
            cameras[view] = moved(cameras[view], offset[6 * i : 6 * i + 6] * self._scale)
        for view, group in groups.items():
            factor = float(np.exp(FOCAL_PRIOR * offset[len(self._poses) + group]))
            cameras[view] = zoomed(cameras[view], factor)
        return cameras


def _strain(poses: Array) -> float:
    return float(np.sqrt(np.mean(np.square(poses)))) if len(poses) else 0.0


def _fit(offset: float, variance: float, strain: float) -> FocalFit:
    """Return what the matches alone say, from what they and the prior say in units of the prior."""
    told = max(1 / variance - 1, LEAST_TOLD)
    return FocalFit(float(np.exp(FOCAL_PRIOR * offset / variance / told)), FOCAL_PRIOR / told**0.5, strain)
