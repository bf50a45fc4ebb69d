"""A depth map, asked about by its neighbours, as a pointmap with confidence."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.agreement import AGREES, CONTRADICTS, MeasuredView, judge
from reconx_ros.geometry.normals import normals_from_depth
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.geometry.stereo.depth_map import DepthMap
from reconx_ros.geometry.stereo.evidence import matching_deviation, probability, stereo_confidence

Floats = NDArray[np.float32]

LEAST_TOLERANCE = 0.01
"""Relative depth difference of two depth maps that always agrees."""

EDGE_RATIO = 0.05

SPECKLE = 0.01
"""Relative depth step within a speckle."""


def measured(depth_map: DepthMap) -> MeasuredView:
    """Return a depth map ready to be asked about points of other views."""
    return MeasuredView.of(depth_map.camera, depth_map.depth, matching_deviation(depth_map.shift))


def make_pointmap(depth_map: DepthMap, others: Sequence[MeasuredView], camera: Camera) -> PointMap:
    """Return the pointmap of ``camera`` (of any size) from a depth map and what other views say."""
    depth, deviation = depth_map.depth, matching_deviation(depth_map.shift)
    points = depth_map.camera.unproject(depth).reshape(-1, 3)
    agrees, through = np.zeros(depth.shape, np.int32), np.zeros(depth.shape, np.int32)
    for other in others:
        verdict = judge(points, deviation.reshape(-1), other, LEAST_TOLERANCE).reshape(depth.shape)
        agrees += verdict == AGREES
        through += verdict == CONTRADICTS
    right = probability(depth_map.cost, depth_map.margin, agrees, through)
    keep = np.isfinite(depth) & (right > 0.3)
    depth = np.where(keep, depth, np.float32(np.nan))
    confidence = np.where(keep, stereo_confidence(deviation, right), np.float32(1))
    normals = normals_from_depth(depth, depth_map.camera, EDGE_RATIO)
    return _sized(depth, normals, confidence, camera)


def _sized(depth: Floats, normals: Floats, confidence: Floats, camera: Camera) -> PointMap:
    size = (camera.width, camera.height)
    if depth.shape != size[::-1]:
        depth, normals, confidence = (
            cv2.resize(array, size, interpolation=cv2.INTER_NEAREST_EXACT)
            for array in (depth, normals, confidence)
        )
    return PointMap(camera.unproject(depth), normals, confidence)


def unknown(camera: Camera) -> PointMap:
    """Return a pointmap that knows nothing."""
    shape = (camera.height, camera.width)
    nothing = np.full((*shape, 3), np.nan, np.float32)
    return PointMap(nothing, nothing.copy(), np.ones(shape, np.float32))
