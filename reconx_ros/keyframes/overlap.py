"""View overlap: the share of one view that another one sees too."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe

GRID = (32, 24)
"""Columns and rows of the samples that stand for a view."""

NOMINAL_DEPTH = 2.0
"""Distance at which a scene of unknown depth is assumed to lie (metres, an indoor scene)."""

OCCLUSION = 1.15
"""A sample this many times farther than what a view measured there is hidden from it."""


@dataclass(frozen=True, eq=False)
class Footprint:
    """What a view sees, reduced to a grid of samples.

    Attributes:
        camera: the camera at the size of the grid.
        points: [M, 3] float64 samples in the world.
        depth: [rows, columns] float32, measured depth of the samples, NaN where it was assumed.
    """

    camera: Camera
    points: NDArray[np.float64]
    depth: NDArray[np.float32]

    @cached_property
    def ball(self) -> tuple[NDArray[np.float64], float]:
        """Centre [3] and radius of a ball round all samples."""
        centre = 0.5 * (self.points.min(axis=0) + self.points.max(axis=0))
        return centre, float(np.linalg.norm(self.points - centre, axis=1).max())

    @staticmethod
    def of(keyframe: Keyframe, nominal_depth: float = NOMINAL_DEPTH) -> "Footprint":
        """Return the footprint of ``keyframe``.

        Where depth is unknown the samples lie at the median depth of the view, or at
        ``nominal_depth`` where the view has none. It is made once in a keyframe's life.
        """
        if nominal_depth != NOMINAL_DEPTH:
            return Footprint._made(keyframe, nominal_depth)
        if keyframe not in _MADE:
            _MADE[keyframe] = Footprint._made(keyframe, nominal_depth)
        return _MADE[keyframe]

    @staticmethod
    def _made(keyframe: Keyframe, nominal_depth: float) -> "Footprint":
        camera = keyframe.camera.resized(*GRID)
        if keyframe.depth is None:
            depth = np.full(GRID[::-1], np.nan, np.float32)
        else:
            depth = cv2.resize(keyframe.depth, GRID, interpolation=cv2.INTER_NEAREST_EXACT)
        measured = depth[depth > 0]
        fallback = float(np.median(measured)) if measured.size else nominal_depth
        filled = np.where(depth > 0, depth, np.float32(fallback))
        local = camera.rays() * filled[..., None]
        pose = camera.world_from_camera
        points = local.reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
        return Footprint(camera, points, np.where(depth > 0, depth, np.float32(np.nan)))

    def moved(self, motion: NDArray[np.float64]) -> "Footprint":
        """Return the footprint after a rigid ``motion`` [4, 4] of view and world."""
        camera = self.camera.moved(motion @ self.camera.world_from_camera)
        return Footprint(camera, self.points @ motion[:3, :3].T + motion[:3, 3], self.depth)


_MADE: WeakKeyDictionary[Keyframe, Footprint] = WeakKeyDictionary()
"""A live map compares each new keyframe with all of them, again and again."""


def seen_share(first: Footprint, second: Footprint) -> float:
    """Return the share, in [0, 1], of what ``first`` sees that ``second`` sees too.

    A sample counts as seen where it projects into the image, before the camera and not behind what
    was measured there.
    """
    if _apart(first, second):
        return 0.0
    inside, depth, measured = _measured(first, second)
    hidden = depth[inside] > OCCLUSION * measured
    return float(np.count_nonzero(~hidden)) / len(first.points)


def shown(first: Footprint, second: Footprint) -> NDArray[np.bool_]:
    """Return which samples [M] of ``first`` ``second`` shows too: the same surface, none before it.

    Where ``first`` has measured, ``second`` must have measured the same distance, up to ``OCCLUSION``;
    where it has not, the sample must be in its image.
    """
    if _apart(first, second):
        return np.zeros(len(first.points), bool)
    inside, depth, measured = _measured(first, second)
    known = np.isfinite(first.depth.reshape(-1))[inside]
    same = (depth[inside] < OCCLUSION * measured) & (measured < OCCLUSION * depth[inside])
    found = np.zeros(len(first.points), bool)
    found[inside] = same | ~known
    return found


def _apart(first: Footprint, second: Footprint) -> bool:
    """Return whether all samples of ``first`` surely are out of the image of ``second``.

    A live map asks for each of its views whether the new one sees it; most are elsewhere.
    """
    camera, (centre, radius) = second.camera, first.ball
    pose, intrinsics = camera.world_from_camera, camera.intrinsics
    local = (centre - pose[:3, 3]) @ pose[:3, :3]
    beyond = -float(local[2])
    for axis, size in enumerate(GRID):
        for side, border in ((1.0, size), (-1.0, -1.0)):
            slope = (border - intrinsics[axis, 2]) / intrinsics[axis, axis]
            beyond = max(beyond, side * float(local[axis] - slope * local[2]) / math.hypot(1, slope))
    return beyond > radius


def _measured(
    first: Footprint, second: Footprint
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32]]:
    """Return which samples [M] lie in the image of ``second``, their depth [M], what it measured there."""
    columns, rows = GRID
    pixels, depth = second.camera.project(first.points)
    before = depth > 1e-6
    index = np.rint(np.where(before[:, None], np.clip(pixels, -1e6, 1e6), -1)).astype(np.intp)
    inside = (index >= 0).all(axis=1) & (index[:, 0] < columns) & (index[:, 1] < rows) & before
    return inside, depth, second.depth[index[inside, 1], index[inside, 0]]


def overlap(first: Footprint, second: Footprint) -> float:
    """Return the view overlap in [0, 1], symmetric: the smaller of both shares.

    The smaller, so that a closer look (all of which the first view had in its image) is new.
    """
    share = seen_share(first, second)
    return min(share, seen_share(second, first)) if share else 0.0


def shown_again(keyframe: Keyframe, others: Iterable[Keyframe], most: float) -> list[str]:
    """Return the names of the ``others`` that share more than ``most`` of their view with ``keyframe``."""
    footprint = Footprint.of(keyframe)
    return [other.name for other in others if overlap(footprint, Footprint.of(other)) > most]
