"""What is found out about all views before any depth: neighbours, depth ranges, poses that do not fit."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo.bundle import PosePrior, Star, adjust
from reconx_ros.geometry.stereo.features import (
    Features,
    PairPoints,
    Rows,
    common_points,
    find_features,
    match,
    near_enough,
)
from reconx_ros.geometry.stereo.neighbours import candidates, depth_range, rank
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.scale import scene_depth

_log = logging.getLogger(__name__)

Key = tuple[str, bytes]

FEATURES = 250
"""Features a view, those with the most matches, that adjust the poses."""


def view_key(keyframe: Keyframe) -> Key:
    """Return what a view is remembered by: its name and its camera."""
    camera = keyframe.camera
    return keyframe.name, camera.world_from_camera.tobytes() + camera.intrinsics.tobytes()


@dataclass(frozen=True)
class Surroundings:
    """What serves a view.

    Attributes:
        neighbours: indices of views, best first.
        near: nearest depth to search.
        far: farthest depth to search.
    """

    neighbours: tuple[int, ...]
    near: float
    far: float


class Survey:
    """Refines poses, finds neighbours and depth ranges; remembers features from call to call."""

    def __init__(self, config: PlaneSweepConfig, exact: bool = False) -> None:
        """Create it.

        Args:
            config: neighbours, uncertainty of poses.
            exact: whether given poses are right to less than a pixel, whatever ``config`` says.
        """
        self._config, self._exact = config, exact
        self._features: dict[str, Features] = {}
        self._typical = 1.0
        self._candidates: dict[int, list[int]] = {}
        self._matches: dict[tuple[int, int], tuple[Rows, Rows]] = {}
        self._around: dict[int, Surroundings] = {}
        self._misfits: dict[tuple[int, int], str] = {}
        self.views: list[Keyframe] = []

    def begin(self, keyframes: Sequence[Keyframe], free: Sequence[int]) -> None:
        """Start over with ``keyframes``, whose poses are right but for those of the views in ``free``.

        ``views`` then holds the keyframes with refined poses.
        """
        self.views = list(keyframes)
        self._typical = scene_depth([replace(k, depth=None) for k in keyframes])
        names = {keyframe.name for keyframe in keyframes}
        self._features = {name: value for name, value in self._features.items() if name in names}
        self._candidates, self._matches, self._around, self._misfits = {}, {}, {}, {}
        self._refine(free)

    def around(self, index: int) -> Surroundings:
        """Return what serves view ``index``."""
        if index not in self._around:
            self._around[index] = self._find(index)
        return self._around[index]

    def why_nothing(self) -> str:
        """Return one line that says why no view has a neighbour."""
        posed = [k for k in self.views if k.posed]
        if len(posed) < 2:
            return (
                f"{len(posed)} of {len(self.views)} keyframes have a pose; stereo needs two views of the "
                "same scene from different places (or a depth camera)"
            )
        if self._misfits:
            return next(iter(self._misfits.values()))
        centres = np.stack([k.camera.centre for k in posed])
        reach = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
        return (
            f"no two of {len(posed)} posed keyframes show the same scene from different places (the camera "
            f"moved {2 * reach:.3g}); stereo needs views that overlap and whose positions differ"
        )

    def _refine(self, free: Sequence[int]) -> None:
        """Make the poses of the views in ``free`` fit the matches."""
        config = self._config
        if self._exact or config.pose_rotation == 0 or config.pose_translation == 0:
            return
        posed = [index for index in free if self.views[index].posed]
        cameras = adjust(
            [view.camera for view in self.views],
            [self._star(index).strongest(FEATURES) for index in posed],
            posed,
            PosePrior(np.deg2rad(config.pose_rotation), config.pose_translation * self._typical),
        )
        self.views = [replace(v, camera=c) for v, c in zip(self.views, cameras, strict=True)]

    def _star(self, index: int) -> Star:
        """Return the features of a view with their matches in its first candidates."""
        others = self._candidates_of(index)[: self._config.neighbours]
        pixels = self._features_of(index).pixels
        matches = np.full((len(pixels), len(others), 2), np.nan)
        for k, other in enumerate(others):
            rows, columns = self._match(index, other)
            p, q = pixels[rows], self._features_of(other).pixels[columns]
            if near_enough((p, q), self.views[index].camera, self.views[other].camera):
                matches[rows, k] = q
        return Star(index, tuple(others), pixels, matches)

    def _find(self, index: int) -> Surroundings:
        order = self._candidates_of(index)
        pairs = {other: self._common(index, other) for other in order}
        ranked = rank(pairs, order)
        depths = [pairs[other].first for other in ranked]
        near, far = depth_range(np.concatenate([np.empty(0), *depths]), self._typical)
        if (stated := self.views[index].depth_range) is not None:
            near, far = stated
        return Surroundings(tuple(ranked[: self._config.neighbours]), near, far)

    def _candidates_of(self, index: int) -> list[int]:
        if index not in self._candidates:
            self._candidates[index] = candidates(self.views, index, self._typical)
        return self._candidates[index]

    def _match(self, first: int, second: int) -> tuple[Rows, Rows]:
        """Match two views once; the other order is the same with its sides exchanged."""
        if (second, first) in self._matches:
            rows, columns = self._matches[second, first]
            return columns, rows
        if (first, second) not in self._matches:
            self._matches[first, second] = match(self._features_of(first), self._features_of(second))
        return self._matches[first, second]

    def _common(self, first: int, second: int) -> PairPoints:
        one, two = self.views[first], self.views[second]
        rows, columns = self._match(first, second)
        pixels = self._features_of(first).pixels[rows], self._features_of(second).pixels[columns]
        points = common_points(pixels, one.camera, two.camera)
        if not points.fits and (second, first) not in self._misfits:
            self._misfits[first, second] = line = (
                f"keyframes {one.name} and {two.name}: matches do not fit their poses and "
                "intrinsics; check world_from_camera, the focal length and which way up the images are"
            )
            _log.info(line)
        return points

    def _features_of(self, index: int) -> Features:
        keyframe = self.views[index]
        if keyframe.name not in self._features:
            grey = cv2.cvtColor(keyframe.image, cv2.COLOR_RGB2GRAY)
            self._features[keyframe.name] = find_features(np.asarray(grey, dtype=np.uint8))
        return self._features[keyframe.name]
