"""The rgbd room: a depth camera's measurements as pointmaps with confidence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.agreement import AGREES, CONTRADICTS, MeasuredView, judge
from reconx_ros.geometry.confidence import confidence, edge_weight, presence, relative_deviation
from reconx_ros.geometry.config import RgbdConfig
from reconx_ros.geometry.normals import normals_from_depth
from reconx_ros.geometry.protocol import GeometryEstimate, PointMap
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, overlap
from reconx_ros.progress import Progress

NEIGHBOURS = 6
"""Most views each view is compared with: those that overlap most with it."""

LEAST_OVERLAP = 0.1

LEAST_TOLERANCE = 0.02
"""Relative depth difference that always agrees: calibration, pose and half a pixel on slopes."""


class RgbdGeometry:
    """Depth + intrinsics + pose to points, normals and confidence (see ``confidence.py``)."""

    name = "rgbd"

    def __init__(self, config: RgbdConfig, metric: bool = True) -> None:
        """Create the room.

        Args:
            config: range and noise of the sensor.
            metric: whether depth and poses are in metres.
        """
        self._config = config
        self._metric = metric

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Estimate a pointmap for each keyframe (``Geometry.estimate``).

        A keyframe without pose or without depth gets a pointmap that is unknown everywhere. When
        cancelled, the views done so far are returned.

        Raises:
            GeometryError: no keyframe has both a pose and depth in range, a pose is not a rotation,
                or sizes disagree.
        """
        wanted = list(range(len(keyframes)) if only is None else only)
        usable = self._usable(keyframes)
        supports = _supports(keyframes, usable, wanted)
        measured: dict[int, tuple[MeasuredView, NDArray[np.float32]]] = {}
        done: list[PointMap] = []
        for index in wanted:
            if progress.cancelled():
                break
            for view in (index, *supports[index]):
                if view not in measured:
                    measured[view] = self._measure(keyframes[view])
            others = [measured[other][0] for other in supports[index]]
            done.append(self._pointmap(*measured[index], others))
            progress.update("geometry", len(done), len(wanted), _note(len(others)))
        views = tuple(keyframes[index] for index in wanted[: len(done)])
        return GeometryEstimate(views, tuple(done), self._metric)

    def _usable(self, keyframes: Sequence[Keyframe]) -> list[int]:
        """Return the keyframes with a pose and a depth image; all are checked."""
        for keyframe in keyframes:
            check_keyframe(keyframe)
        usable = [
            i for i, keyframe in enumerate(keyframes) if keyframe.posed and keyframe.depth is not None
        ]
        if any(np.isfinite(self._usable_depth(keyframes[i])).any() for i in usable):
            return usable
        near, far = self._config.min_depth, self._config.max_depth
        posed = sum(keyframe.posed for keyframe in keyframes)
        raise GeometryError(
            f"no depth between {near} m and {far} m in {posed} posed of {len(keyframes)} keyframes; "
            "at least one keyframe with a pose and depth is needed"
        )

    def _usable_depth(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Return the depth with everything out of range (or of a view without pose) unknown."""
        if keyframe.depth is None or not keyframe.posed:
            return np.full((keyframe.camera.height, keyframe.camera.width), np.nan, np.float32)
        depth = keyframe.depth.astype(np.float32, copy=False)
        usable = (depth >= self._config.min_depth) & (depth <= self._config.max_depth)
        return np.where(usable, depth, np.float32(np.nan))

    def _measure(self, keyframe: Keyframe) -> tuple[MeasuredView, NDArray[np.float32]]:
        depth = self._usable_depth(keyframe)
        normals = normals_from_depth(depth, keyframe.camera, self._config.edge_ratio)
        deviation = relative_deviation(depth, normals, keyframe.camera, self._config)
        return MeasuredView.of(keyframe.camera, depth, deviation), normals

    def _pointmap(
        self, view: MeasuredView, normals: NDArray[np.float32], others: Sequence[MeasuredView]
    ) -> PointMap:
        points = view.camera.unproject(view.depth)
        flat, deviation = points.reshape(-1, 3), view.deviation.reshape(-1)
        agrees = np.zeros(len(flat), np.int32)
        contradicts = np.zeros(len(flat), np.int32)
        for other in others:
            verdict = judge(flat, deviation, other, LEAST_TOLERANCE)
            agrees += verdict == AGREES
            contradicts += verdict == CONTRADICTS
        present = presence(agrees, contradicts).reshape(view.depth.shape)
        edges = edge_weight(view.depth, self._config.edge_ratio)
        return PointMap(points, normals, confidence(view.deviation, edges, present))


def _supports(
    keyframes: Sequence[Keyframe], usable: Sequence[int], wanted: Sequence[int]
) -> dict[int, list[int]]:
    """Return for each wanted view the views it is compared with, most overlapping first."""
    footprints = {i: Footprint.of(keyframes[i]) for i in usable}
    supports: dict[int, list[int]] = {}
    for index in wanted:
        others = [i for i in usable if i != index and index in footprints]
        shares = {i: overlap(footprints[index], footprints[i]) for i in others}
        near = [i for i in others if shares[i] >= LEAST_OVERLAP]
        supports[index] = sorted(near, key=lambda i: (-shares[i], i))[:NEIGHBOURS]
    return supports


def _note(views: int) -> str:
    return f"compared with {views} views" if views else "no other view to compare with"
