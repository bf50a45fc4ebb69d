"""A depth map and what its neighbours say about it, as a pointmap with confidence."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.normals import normals_from_depth
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.geometry.stereo.depth_map import DepthMap
from reconx_ros.geometry.stereo.evidence import EDGE_RATIO, gather, probability, resting_on_a_pair

Floats = NDArray[np.float32]


def make_pointmap(
    depth_map: DepthMap,
    others: Sequence[DepthMap],
    camera: Camera,
    least_probability: float,
    bias: float = 0.0,
    translation: float = 0.0,
) -> PointMap:
    """Return the pointmap of ``camera`` (of any size) from a depth map and those of its neighbours.

    Args:
        depth_map: of the view.
        others: of its neighbours.
        camera: of the view at the size wanted.
        least_probability: points less likely than this are unknown.
        bias: relative error that all depth maps share (``Survey.focal_bias``).
        translation: world units; standard deviation of the position of a view. It lowers confidence and
            leaves nothing out: few views are better than none.
    """
    seen = gather(depth_map, others, bias)
    right = probability(seen)
    keep = np.isfinite(depth_map.depth) & (right >= least_probability)
    evidence = resting_on_a_pair(seen, translation)
    if evidence is not seen:
        right = np.maximum(probability(evidence), np.float32(least_probability))
    depth = np.where(keep, depth_map.depth, np.float32(np.nan))
    confidence = np.where(keep, 1 / (1 - right), np.float32(1))
    normals = normals_from_depth(depth, depth_map.camera, EDGE_RATIO)
    deviation = float(np.median(evidence.deviation[keep])) if keep.any() else None
    return _sized(depth, normals, confidence, camera, deviation)


def _sized(
    depth: Floats, normals: Floats, confidence: Floats, camera: Camera, deviation: float | None
) -> PointMap:
    size = (camera.width, camera.height)
    if depth.shape != size[::-1]:
        depth, normals, confidence = (
            cv2.resize(array, size, interpolation=cv2.INTER_NEAREST_EXACT)
            for array in (depth, normals, confidence)
        )
    return PointMap(camera.unproject(depth), normals, confidence, deviation)
