"""The sparse room: points where features of posed views meet, and nothing between them."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.protocol import GeometryEstimate, PointMap
from reconx_ros.geometry.sparse.confidence import observation_confidence
from reconx_ros.geometry.sparse.config import SparseConfig
from reconx_ros.geometry.sparse.features import Features, Floats, extract_features
from reconx_ros.geometry.sparse.matching import Matches, epipolar_distance, match
from reconx_ros.geometry.sparse.pairs import overlapping_pairs
from reconx_ros.geometry.sparse.triangulate import SparsePoints, triangulate
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress

STAGE = "geometry"
_log = logging.getLogger(__name__)


class SparseGeometry:
    """Colour + intrinsics + pose to points at features, seen by two views or more."""

    name = "sparse"

    def __init__(self, config: SparseConfig, metric: bool = True) -> None:
        """Create the room.

        Args:
            config: features, matching and triangulation.
            metric: whether poses are in metres.
        """
        self._config = config
        self._metric = metric

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Estimate a pointmap for each keyframe (``Geometry.estimate``): NaN but at features.

        Normals are unknown everywhere. A keyframe without a pose, or without a point, gets a pointmap
        that is unknown everywhere. When cancelled, the pairs matched so far are triangulated.

        Raises:
            GeometryError: fewer than two posed keyframes, not one point in all of them, a pose is no
                rotation, or sizes disagree.
        """
        for keyframe in keyframes:
            check_keyframe(keyframe)
        wanted = list(range(len(keyframes)) if only is None else only)
        posed = sum(keyframe.posed for keyframe in keyframes)
        if posed < 2:
            raise GeometryError(
                f"{posed} of {len(keyframes)} keyframes have a pose; triangulation needs two at least"
            )
        pairs = overlapping_pairs(keyframes, self._config.neighbours, self._metric, set(wanted))
        features = self._features(keyframes, {view for pair in pairs for view in pair}, progress)
        matches = self._matches(keyframes, features, pairs, progress)
        cameras = [keyframe.camera for keyframe in keyframes]
        found = triangulate(cameras, features, matches, self._config.max_error, self._config.min_angle)
        if len(found) == 0:
            raise GeometryError(_nothing(keyframes, features, matches))
        confidence = observation_confidence(found, cameras, features)
        pointmaps = tuple(
            _pointmap(view, keyframes[view], features[view], found, confidence) for view in wanted
        )
        _tell_empty(keyframes, wanted, pointmaps)
        return GeometryEstimate(tuple(keyframes[view] for view in wanted), pointmaps, self._metric)

    def _features(
        self, keyframes: Sequence[Keyframe], used: set[int], progress: Progress
    ) -> list[Features]:
        features = [Features.none() for _ in keyframes]
        for done, view in enumerate(sorted(used), 1):
            features[view] = extract_features(
                keyframes[view].image, self._config.max_features, self._config.contrast
            )
            progress.update(STAGE, done, len(used), f"{len(features[view])} features")
        return features

    def _matches(
        self,
        keyframes: Sequence[Keyframe],
        features: Sequence[Features],
        pairs: Sequence[tuple[int, int]],
        progress: Progress,
    ) -> dict[tuple[int, int], Matches]:
        matches: dict[tuple[int, int], Matches] = {}
        for first, second in pairs:
            if progress.cancelled():
                break
            both = features[first], features[second]
            found = match(*both, self._config.max_ratio)
            away = epipolar_distance(found, both, (keyframes[first].camera, keyframes[second].camera))
            matches[first, second] = found[away <= self._config.max_error]
            progress.update(STAGE, len(matches), len(pairs), f"{len(matches[first, second])} matches")
        return matches


def _pointmap(
    view: int, keyframe: Keyframe, features: Features, found: SparsePoints, confidence: Floats
) -> PointMap:
    """Put the points at the pixels nearest to their features; of two in a pixel the surer stays."""
    height, width = keyframe.camera.height, keyframe.camera.width
    points = np.full((height, width, 3), np.nan, np.float32)
    values = np.ones((height, width), np.float32)
    rows = np.flatnonzero(found.observations[:, 1] == view)
    rows = rows[np.argsort(confidence[rows], kind="stable")]
    pixels = np.rint(features.pixels[found.observations[rows, 2]]).astype(np.intp)
    column, row = np.clip(pixels, 0, [width - 1, height - 1]).T
    points[row, column] = found.points[found.observations[rows, 0]]
    values[row, column] = confidence[rows]
    return PointMap(points, np.full_like(points, np.nan), values, shared=True)


def _nothing(
    keyframes: Sequence[Keyframe],
    features: Sequence[Features],
    matches: Mapping[tuple[int, int], Matches],
) -> str:
    """Say why nothing could be triangulated."""
    most = max((len(found) for found in features), default=0)
    total = sum(len(rows) for rows in matches.values())
    return (
        f"no point could be triangulated in {len(keyframes)} keyframes: at most {most} features a view, "
        f"{total} matches along epipolar lines in {len(matches)} pairs; views must overlap, show "
        "texture, stand apart and have right poses and intrinsics"
    )


def _tell_empty(
    keyframes: Sequence[Keyframe], wanted: Sequence[int], pointmaps: Sequence[PointMap]
) -> None:
    empty = [
        keyframes[view].name
        for view, pointmap in zip(wanted, pointmaps, strict=True)
        if keyframes[view].posed and not pointmap.known.any()
    ]
    if empty:
        _log.warning("no point in %d of %d views: %s", len(empty), len(wanted), ", ".join(empty[:10]))
