"""What is found out about all views before any depth: neighbours, depth ranges, poses that do not fit."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo.bundle import Bundle, PosePrior
from reconx_ros.geometry.stereo.features import (
    Features,
    PairPoints,
    Rows,
    common_points,
    find_features,
    match,
    near_enough,
)
from reconx_ros.geometry.stereo.focal import FocalEvidence, Verdict, fit_focals, intrinsics_of
from reconx_ros.geometry.stereo.neighbours import candidates, depth_range, rank
from reconx_ros.geometry.stereo.reprojection import Star
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.scale import scene_depth

_log = logging.getLogger(__name__)

Key = tuple[str, bytes]

FEATURES = 250
"""Features a view, those with the most matches, that adjust the poses."""

DOUBTFUL = 0.02
"""Relative error of a focal length, beyond doubt, from which it is said."""

STRAIN = 2.0
"""Deviations, as configured, that poses may move (root mean square) before it is said."""

Array = NDArray[np.float64]


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
        self._given: dict[str, Array] = {}
        self._focal = FocalEvidence()
        self._strain = 0.0
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
        self._given = {name: value for name, value in self._given.items() if name in names}
        for index in free:
            self._given.pop(keyframes[index].name, None)
        self._focal.keep(names)
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

    def why_excluded(self, index: int) -> str | None:
        """Return one line that says why a view serves for nothing: its pose or intrinsics do not fit."""
        if self.around(index).neighbours:
            return None
        return next((line for pair, line in self._misfits.items() if index in pair), None)

    def wrong_focal(self) -> str | None:
        """Return one line that says which focal length is clearly wrong, if one is."""
        return self._focal_line(lambda verdict: verdict.wrong)

    def doubtful_focal(self) -> str | None:
        """Return one line that says which focal length is wrong enough to lower confidence, if one is."""
        return self._focal_line(lambda verdict: verdict.bias > DOUBTFUL)

    def _focal_line(self, chosen: Callable[[Verdict], bool]) -> str | None:
        verdicts = ((view.camera, self._verdict(view.camera)) for view in self.views if view.posed)
        lines = (v.told(float(camera.intrinsics[0, 0])) for camera, v in verdicts if chosen(v))
        return next(lines, None)

    def focal_bias(self, index: int) -> float:
        """Return the relative error of depth that focal lengths cause in a view, beyond doubt."""
        views = (index, *self.around(index).neighbours)
        return max(self._verdict(self.views[view].camera).bias for view in views)

    @property
    def pose_translation(self) -> float:
        """Standard deviation of the position of a view in world units: 0 where poses are exact."""
        return 0.0 if self._poses_exact else self._config.pose_translation * self._typical

    @property
    def _poses_exact(self) -> bool:
        return self._exact or self._config.pose_rotation == 0 or self._config.pose_translation == 0

    def notes(self) -> list[str]:
        """Return what the user should know about poses and focal lengths, one line each."""
        doubt = self.doubtful_focal()
        lines = [] if doubt is None else [doubt]
        if self._strain <= STRAIN:
            return lines
        return [
            *lines,
            f"poses had to move by {self._strain:.1f} times what geometry.plane_sweep.pose_rotation "
            f"({self._config.pose_rotation:g} degrees) and pose_translation "
            f"({self._config.pose_translation:g} of the depth) say, to fit the images: odometry drifts or "
            "the calibration is off; depth may be bent",
        ]

    def _verdict(self, camera: Camera) -> Verdict:
        return self._focal.verdict(intrinsics_of(camera))

    def _refine(self, free: Sequence[int]) -> None:
        """Make the poses of the views in ``free`` fit the matches, once these have judged focal lengths."""
        config, self._strain = self._config, 0.0
        if self._poses_exact:
            return
        posed = [index for index in free if self.views[index].posed]
        stars = [self._star(index).strongest(FEATURES) for index in posed]
        prior = PosePrior(np.deg2rad(config.pose_rotation), self.pose_translation)
        given = [self._as_given(index) for index in range(len(self.views))]
        self._focal.note([self.views[index].name for index in posed], fit_focals(given, stars, prior))
        bundle = Bundle([view.camera for view in self.views], stars, posed, prior)
        cameras = bundle.adjust()
        self._strain = bundle.strain
        for index in posed:
            refined_from_world = cameras[index].camera_from_world
            self._given[self.views[index].name] = refined_from_world @ given[index].world_from_camera
        self.views = [replace(v, camera=c) for v, c in zip(self.views, cameras, strict=True)]

    def _as_given(self, index: int) -> Camera:
        """Return the camera of a view with the pose it once came with, moved as the view since."""
        view = self.views[index]
        camera = view.camera
        return camera.moved(camera.world_from_camera @ self._given.get(view.name, np.eye(4)))

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
