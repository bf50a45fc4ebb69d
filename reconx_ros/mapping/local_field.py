"""The distance field of a box round the robot, made anew while the map grows (``distance_field.py``)."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from reconx_ros.geometry.protocol import OBSERVED, PointCloud, map_confidence
from reconx_ros.geometry.voxels import voxel_keys
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.carving import FREE, OCCUPIED, UNKNOWN, Box, carve
from reconx_ros.mapping.config import DistanceFieldConfig
from reconx_ros.mapping.distance_field import DistanceField


def local_field(
    cloud: PointCloud,
    keyframes: Iterable[Keyframe],
    centre: NDArray[np.float64],
    config: DistanceFieldConfig,
) -> DistanceField:
    """Return the field of the box ``live_radius`` and ``live_height`` about ``centre``.

    Distances of free voxels are to the nearest observed obstacle of the whole ``cloud``, in the box or
    not. Boxes of one voxel size share one grid, so voxels stay where they are while the robot moves.

    Args:
        cloud: the fused cloud; generated points are left out.
        keyframes: whose measured depth says what is free; those without depth say nothing.
        centre: [3] of the box, in the world.
        config: voxel size, the box, and which points count. ``voxel_size`` must be above 0.
    """
    box = _box(centre, config)
    cells, means = _obstacles(cloud, config)
    occupancy = np.full(box.shape, UNKNOWN, np.int8)
    local = cells - np.rint(box.origin / box.voxel_size).astype(np.int64)
    inside = ((local >= 0) & (local < box.shape)).all(axis=1)
    occupancy[tuple(local[inside].T)] = OCCUPIED
    for view in keyframes:
        if view.depth is not None:
            carve(occupancy, box, view.camera, view.depth, config.max_range)
    return DistanceField(box.origin, box.voxel_size, occupancy, _distances(occupancy, means, box))


def _box(centre: NDArray[np.float64], config: DistanceFieldConfig) -> Box:
    reach = np.array([config.live_radius, config.live_radius, config.live_height])
    low = np.floor((centre - reach) / config.voxel_size)
    shape = np.ceil(2 * reach / config.voxel_size).astype(int).tolist()
    return Box(low * config.voxel_size, config.voxel_size, (shape[0], shape[1], shape[2]))


def _obstacles(
    cloud: PointCloud, config: DistanceFieldConfig
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the occupied voxels [N, 3] of the grid, and the mean [N, 3] of the points in each."""
    wanted = (cloud.provenance == OBSERVED) & (map_confidence(cloud.confidence) >= config.min_confidence)
    points = cloud.points[wanted]
    keys = voxel_keys(points, config.voxel_size)
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    counts = np.bincount(index, minlength=len(first))
    means = np.stack([np.bincount(index, axis, len(first)) for axis in points.T], axis=1) / counts[:, None]
    cells = np.floor(points[first].astype(np.float64) / config.voxel_size).astype(np.int64)
    enough = counts >= config.least_points
    return cells[enough], means[enough]


def _distances(
    occupancy: NDArray[np.int8], obstacles: NDArray[np.float64], box: Box
) -> NDArray[np.float32]:
    """Return signed distances, NaN where nothing is known; infinite where there is no obstacle at all."""
    distance = np.full(box.shape, np.nan, np.float32)
    free, occupied = occupancy == FREE, occupancy == OCCUPIED
    centres = box.origin + (np.argwhere(free) + 0.5) * box.voxel_size
    distance[free] = cKDTree(obstacles).query(centres)[0] if len(obstacles) else np.inf
    # A layer round the box: what lies beyond it is not known to be occupied.
    inward = distance_transform_edt(np.pad(occupied, 1))[1:-1, 1:-1, 1:-1]
    distance[occupied] = -box.voxel_size * inward[occupied]
    return distance
