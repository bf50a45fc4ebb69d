"""Pairs from a depth camera: where one view stands in another's frame, told by their common features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.dense import DenseView
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.resection import resect
from reconx_ros.geometry.align.rotations import inverses
from reconx_ros.geometry.align.similarity import pose_of
from reconx_ros.geometry.confidence import confidence, edge_weight, relative_deviation
from reconx_ros.geometry.config import RgbdConfig
from reconx_ros.geometry.normals import normals_from_depth
from reconx_ros.geometry.sparse.features import Features, extract_features
from reconx_ros.geometry.sparse.matching import match
from reconx_ros.keyframes.keyframe import Keyframe

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

MOST_FEATURES = 2000
CONTRAST = 0.01
MAX_RATIO = 0.85

LEAST_INLIERS = 25
"""Common features below which two views are not said to see the same."""

PNP_PIXELS = 2.0
"""Reprojection error of an inlier, at most, in an image 320 pixels wide."""

PNP_ROUNDS = 300


@dataclass(frozen=True, eq=False)
class MeasuredKeyframe:
    """A keyframe with depth, ready to be registered.

    Attributes:
        camera: its intrinsics; the pose is not looked at.
        points: [H, W, 3] float32 in the camera frame, NaN where depth is unknown.
        confidence: [H, W] float32, C >= 1, of the sensor (``geometry.confidence``).
        features: found in the image where the depth is known.
        lifted: [N, 3] float64, the features in the camera frame.
        dense: all its pixels.
    """

    camera: Camera
    points: Floats
    confidence: Floats
    features: Features
    lifted: Array
    dense: DenseView

    @staticmethod
    def of(keyframe: Keyframe, config: RgbdConfig) -> "MeasuredKeyframe":
        """Prepare ``keyframe``, whose depth is that of a sensor as in ``config``."""
        camera = keyframe.camera.moved(np.eye(4))
        depth = np.full((camera.height, camera.width), np.nan, np.float32)
        if keyframe.depth is not None:
            near, far = config.min_depth, config.max_depth
            depth = np.where((keyframe.depth >= near) & (keyframe.depth <= far), keyframe.depth, depth)
        normals = normals_from_depth(depth, camera, config.edge_ratio)
        deviation = relative_deviation(depth, normals, camera, config)
        edges = edge_weight(depth, config.edge_ratio)
        sure = confidence(deviation, edges, np.ones_like(edges))
        features = extract_features(keyframe.image, MOST_FEATURES, CONTRAST)
        x, y = np.rint(features.pixels).astype(np.intp).T
        x, y = np.clip(x, 0, camera.width - 1), np.clip(y, 0, camera.height - 1)
        known = np.isfinite(depth[y, x]) & (edges[y, x] > 0.5)
        kept = Features(features.pixels[known], features.descriptors[known])
        slopes = np.column_stack([kept.pixels, np.ones(len(kept))]) @ np.linalg.inv(camera.intrinsics).T
        lifted = slopes * depth[y, x][known, None]
        dense = DenseView(keyframe.image, depth, camera)
        return MeasuredKeyframe(camera, camera.unproject(depth), sure, kept, lifted, dense)


def register_pairs(
    keyframes: Sequence[Keyframe], ends: Sequence[tuple[int, int]], config: RgbdConfig
) -> list[PairPointMaps]:
    """Return those of the pairs ``ends`` that can be registered, as metric pointmaps.

    Features are matched without regard to poses (SIFT, mutual and by ratio); the pose of the second view
    in the first's frame follows from the first's depth by PnP, is averaged with that of the way back, and
    refined by all pixels (``DenseView.refine``). A pair is kept where enough features agree in both ways.

    Args:
        keyframes: the views; those without depth give no pair.
        ends: first and second of each pair; both ways round are registered at once.
        config: the depth sensor.
    """
    used = {view for pair in ends for view in pair}
    measured = {view: MeasuredKeyframe.of(keyframes[view], config) for view in sorted(used)}
    relative: dict[tuple[int, int], Array | None] = {}
    made = []
    for first, second in ends:
        key = (min(first, second), max(first, second))
        if key not in relative:
            relative[key] = register(measured[key[0]], measured[key[1]])
        pose = relative[key]
        if pose is not None:
            into = pose if (first, second) == key else inverses(pose[None])[0]
            made.append(_pair(first, second, measured[first], measured[second], into))
    return made


def register(first: MeasuredKeyframe, second: MeasuredKeyframe) -> Array | None:
    """Return the pose [4, 4] of ``second`` in the camera frame of ``first``; ``None`` where unsure."""
    rows = match(first.features, second.features, MAX_RATIO)
    if len(rows) < LEAST_INLIERS:
        return None
    there = _resection(first.lifted[rows[:, 0]], second.features.pixels[rows[:, 1]], second.camera)
    back = _resection(second.lifted[rows[:, 1]], first.features.pixels[rows[:, 0]], first.camera)
    if there is None or back is None:
        return None
    return first.dense.refine(second.dense, _middle(there, inverses(back[None])[0]))


def _resection(points: Array, pixels: Floats, camera: Camera) -> Array | None:
    """Return the pose of ``camera`` in the frame of ``points`` [N, 3] that it sees at ``pixels``."""
    threshold = PNP_PIXELS * camera.width / 320
    seen = pixels.astype(np.float64)
    return resect(points, seen, camera.intrinsics, threshold, PNP_ROUNDS, LEAST_INLIERS)


def _middle(first: Array, second: Array) -> Array:
    """Return the pose half way between two that are near each other."""
    left, _, right = np.linalg.svd(first[:3, :3] + second[:3, :3])
    return pose_of(left @ right, (first[:3, 3] + second[:3, 3]) / 2)


def _pair(
    first: int, second: int, one: MeasuredKeyframe, two: MeasuredKeyframe, into: Array
) -> PairPointMaps:
    moved = two.points @ into[:3, :3].T.astype(np.float32) + into[:3, 3].astype(np.float32)
    return PairPointMaps(
        first, second, (one.points, moved.astype(np.float32)), (one.confidence, two.confidence), metric=True
    )
