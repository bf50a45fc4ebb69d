"""What is found out about all views before any depth: neighbours, depth ranges, poses that do not fit."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo.features import Features, PairPoints, find_features, pair_points
from reconx_ros.geometry.stereo.neighbours import candidates, depth_range, rank
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.scale import scene_depth

_log = logging.getLogger(__name__)

Key = tuple[str, bytes]


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
    """Finds neighbours and depth ranges; remembers features of the views it was last asked about."""

    def __init__(self, config: PlaneSweepConfig) -> None:
        self._config = config
        self._features: dict[Key, Features] = {}
        self._views: Sequence[Keyframe] = ()
        self._pairs: dict[tuple[int, int], PairPoints] = {}
        self._around: dict[int, Surroundings] = {}
        self._typical = 1.0
        self.misfits: list[str] = []

    def begin(self, keyframes: Sequence[Keyframe]) -> None:
        """Start over with ``keyframes``; features of views that were known stay."""
        self._views = keyframes
        self._typical = scene_depth([replace(k, depth=None) for k in keyframes])
        keys = {view_key(k) for k in keyframes}
        self._features = {key: value for key, value in self._features.items() if key in keys}
        self._pairs, self._around, self.misfits = {}, {}, []

    def around(self, index: int) -> Surroundings:
        """Return what serves view ``index``."""
        if index not in self._around:
            self._around[index] = self._find(index)
        return self._around[index]

    def why_nothing(self) -> str:
        """Return one line that says why no view has a neighbour."""
        posed = [k for k in self._views if k.posed]
        if len(posed) < 2:
            return (
                f"{len(posed)} of {len(self._views)} keyframes have a pose; stereo needs two views of the "
                "same scene from different places (or a depth camera)"
            )
        if self.misfits:
            return self.misfits[0]
        centres = np.stack([k.camera.centre for k in posed])
        reach = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
        return (
            f"no two of {len(posed)} posed keyframes show the same scene from different places (the camera "
            f"moved {2 * reach:.3g}); stereo needs views that overlap and whose positions differ"
        )

    def _find(self, index: int) -> Surroundings:
        order = candidates(self._views, index, self._typical)
        pairs = {other: self._pair(index, other) for other in order}
        for other, pair in pairs.items():
            if not pair.fits:
                self._complain(index, other, pair)
        ranked = rank(pairs, order)
        depths = [pairs[other].first for other in ranked]
        near, far = depth_range(np.concatenate([np.empty(0), *depths]), self._typical)
        return Surroundings(tuple(ranked[: self._config.neighbours]), near, far)

    def _pair(self, first: int, second: int) -> PairPoints:
        """Match two views once; the other order is the same with its depths exchanged."""
        if (second, first) in self._pairs:
            known = self._pairs[second, first]
            return replace(known, first=known.second, second=known.first)
        if (first, second) not in self._pairs:
            one, two = self._views[first], self._views[second]
            self._pairs[first, second] = pair_points(
                self._features_of(one), self._features_of(two), one.camera, two.camera
            )
        return self._pairs[first, second]

    def _features_of(self, keyframe: Keyframe) -> Features:
        key = view_key(keyframe)
        if key not in self._features:
            grey = cv2.cvtColor(keyframe.image, cv2.COLOR_RGB2GRAY)
            self._features[key] = find_features(np.asarray(grey, dtype=np.uint8))
        return self._features[key]

    def _complain(self, first: int, second: int, pair: PairPoints) -> None:
        one, two = self._views[first].name, self._views[second].name
        line = (
            f"keyframes {one} and {two}: most of {pair.matches} matches do not fit their poses and "
            "intrinsics; check world_from_camera, the focal length and which way up the images are"
        )
        if first < second or (second, first) not in self._pairs:
            self.misfits.append(line)
            _log.warning(line)
