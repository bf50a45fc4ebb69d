"""Where a camera may be: space that the inputs saw through, away from every known surface.

Each input carves the space between itself and what it shows. No voxels are kept: a point is carved
if, in the coarse view (``survey.py``) of some input, it lies before what the view shows. Surfaces are the
points of the survey. So memory is bounded by the survey and 64×48 pixels an input.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.structure.hopes import looked_up
from reconx_ros.structure.survey import Sketch, Survey

Array = NDArray[np.float64]

BEFORE = 0.95
"""A point nearer than this share of what an input shows there was seen through."""

SHORTEST = 0.02
"""Step along a path, in scene depths, at least."""

GAP = 3**0.5
"""Spacings kept at least: a cell of the surface holds a point, and nothing in it is farther than this."""


class FreeSpace:
    """The known surface and the views that carve.

    Attributes:
        clearance: world units kept from the surface.
        venture: world units from an input up to which space that none saw through may be entered.
    """

    def __init__(self, survey: Survey, inputs: Sequence[Sketch], clearance: float, venture: float) -> None:
        """Take what is known.

        Args:
            survey: its points are the surface.
            inputs: coarse views of all inputs, at least one.
            clearance: in scene depths; never less than the gaps between the points need.
            venture: in scene depths.
        """
        from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

        self.clearance = max(clearance * survey.depth, GAP * float(np.median(survey.spacing)))
        self.venture = venture * survey.depth
        self._step = SHORTEST * survey.depth
        self._tree, self._inputs = cKDTree(survey.points), inputs

    def distance(self, points: Array) -> Array:
        """Return the distance [M] of ``points`` [M, 3] to the nearest known surface."""
        found: Array = self._tree.query(points)[0]
        return found

    def carved(self, points: Array) -> NDArray[np.bool_]:
        """Return which of ``points`` [M, 3] an input saw through."""
        free = np.zeros(len(points), np.bool_)
        for each in self._inputs:
            shown = np.where(np.isfinite(each.depth), each.depth, np.float32(0))
            depth, surface = looked_up(points.astype(np.float32), each, shown)
            free |= depth < BEFORE * surface
        return free

    def free(self, points: Array) -> NDArray[np.bool_]:
        """Return at which of ``points`` [M, 3] a camera may be: where an input was, in any case."""
        away = self._away(points)
        clear = (self.distance(points) >= self.clearance) & (self.carved(points) | (away <= self.venture))
        return np.asarray(clear | (away == 0), np.bool_)

    def _away(self, points: Array) -> Array:
        """Return the distance [M] of ``points`` [M, 3] to the nearest input."""
        inputs = np.stack([each.camera.centre for each in self._inputs])
        nearest: Array = np.linalg.norm(points[:, None] - inputs, axis=2).min(axis=1)
        return nearest

    def obstacle(self, path: Sequence[Camera], passed: Sequence[Camera]) -> str | None:
        """Return why a camera must not move along ``path``, or ``None`` where it may.

        Every piece is looked at in steps of half the clearance. Where a keyframe that the path passes is
        itself nearer to a surface than the clearance, the path may be as near within one clearance of it,
        but no nearer. Space that no view saw may be entered only near a keyframe, or near the straight
        line between two that the path passes one after the other: whoever carried the camera went there.

        Args:
            path: at least one camera.
            passed: the keyframes' cameras on it, in order.
        """
        points = _subdivided(_centres(path), max(self.clearance / 2, self._step))
        distance, needed = self.distance(points), self._needed(points, passed)
        if (distance < needed).any():
            worst = int(np.argmin(distance - needed))
            return f"passes within {distance[worst]:.2g} of a surface, {needed[worst]:.2g} are kept"
        away = np.minimum(self._away(points), _from_line(points, _centres(passed)))
        if not (self.carved(points) | (away <= self.venture)).all():
            return f"enters space that no view saw, more than {self.venture:.2g} from a keyframe"
        return None

    def _needed(self, points: Array, passed: Sequence[Camera]) -> Array:
        needed = np.full(len(points), self.clearance)
        for centre in _centres(passed):
            own = 0.9 * float(self.distance(centre[None])[0])
            near = np.linalg.norm(points - centre, axis=1) < self.clearance
            needed[near] = np.minimum(needed[near], own)
        return needed


def _centres(cameras: Sequence[Camera]) -> Array:
    return np.array([camera.centre for camera in cameras]).reshape(-1, 3)


def _from_line(points: Array, line: Array) -> Array:
    """Return the distance [M] of ``points`` [M, 3] to the pieces between the corners [K, 3] of ``line``."""
    nearest = np.full(len(points), np.inf)
    for first, last in pairwise(line):
        along = last - first
        share = (points - first) @ along / max(float(along @ along), 1e-300)
        foot = first + np.clip(share, 0, 1)[:, None] * along
        nearest = np.minimum(nearest, np.linalg.norm(points - foot, axis=1))
    return nearest


def _subdivided(centres: Array, step: float) -> Array:
    """Return ``centres`` [F, 3] with points between them, at most ``step`` apart."""
    parts = [centres[:1]]
    for first, last in pairwise(centres):
        count = int(np.ceil(np.linalg.norm(last - first) / max(step, 1e-9)))
        shares = np.linspace(0, 1, max(count, 1) + 1)[1:, None]
        parts.append(first + shares * (last - first))
    return np.concatenate(parts)
