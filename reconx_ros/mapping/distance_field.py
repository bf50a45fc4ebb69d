"""What is occupied, free and unknown in voxels, and how far it is to the nearest obstacle.

The Euclidean signed distance field (ESDF) that motion planners read: as in Voxblox (Oleynikova et al.,
IROS 2017) and nvblox, but of the fused cloud. A voxel is *occupied* where observed points lie in it;
*free* only where a measured depth image looks through all of it; else *unknown*. What nobody measured
is never free: neither behind surfaces nor where a sensor gave nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import OBSERVED, PointCloud, map_confidence
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.carving import FREE, OCCUPIED, UNKNOWN, Box, carve
from reconx_ros.mapping.config import DistanceFieldConfig

__all__ = ["FREE", "OCCUPIED", "UNKNOWN", "DistanceField", "distance_field"]

MOST_VOXELS = 16_000_000
"""More are not made, for they would not fit in memory beside the map: voxels are coarser then."""


@dataclass(frozen=True, eq=False)
class DistanceField:
    """Voxels of a box, axes as the world's.

    Attributes:
        origin: [3] float64 metres, the lowest corner of voxel (0, 0, 0) in the world.
        voxel_size: metres.
        occupancy: [X, Y, Z] int8: ``FREE`` 0, ``OCCUPIED`` 100, ``UNKNOWN`` -1.
        distance: [X, Y, Z] float32 metres from the voxel's centre: of free voxels to the nearest
            observed surface; of occupied ones negative, to the nearest voxel that is not; NaN unknown.
            Unknown space is no obstacle here: what must not enter it reads ``occupancy``.
    """

    origin: NDArray[np.float64]
    voxel_size: float
    occupancy: NDArray[np.int8]
    distance: NDArray[np.float32]

    def centres(self) -> NDArray[np.float64]:
        """Return the [X, Y, Z, 3] centres of the voxels in the world."""
        index = np.stack(np.meshgrid(*map(np.arange, self.occupancy.shape), indexing="ij"), axis=-1)
        return self.origin + (index + 0.5) * self.voxel_size


def distance_field(
    cloud: PointCloud, keyframes: Iterable[Keyframe], config: DistanceFieldConfig
) -> DistanceField:
    """Return the field of the observed points of ``cloud``.

    Args:
        cloud: the fused cloud; generated points are left out.
        keyframes: whose measured depth says what is free; those without depth say nothing.
        config: voxel size and which points count.

    Raises:
        MapError: no observed point is confident enough.
    """
    points = _obstacles(cloud, config)
    views = [keyframe for keyframe in keyframes if keyframe.depth is not None]
    box = _box(points, views, config)
    sums, counts = _sums(points, box)
    occupied = counts >= config.least_points
    if not occupied.any():
        raise MapError(f"no voxel of {box.voxel_size:g} m holds {config.least_points} observed points")
    occupancy = np.full(box.shape, UNKNOWN, np.int8)
    occupancy[occupied] = OCCUPIED
    for view in views:
        assert view.depth is not None
        carve(occupancy, box, view.camera, view.depth, config.max_range)
    return DistanceField(box.origin, box.voxel_size, occupancy, _distances(occupancy, sums, counts, box))


def _obstacles(cloud: PointCloud, config: DistanceFieldConfig) -> NDArray[np.float64]:
    wanted = (cloud.provenance == OBSERVED) & (map_confidence(cloud.confidence) >= config.min_confidence)
    points = np.asarray(cloud.points[wanted], dtype=np.float64)
    if not len(points):
        raise MapError(
            f"none of {len(cloud)} points is observed with confidence {config.min_confidence:g}: "
            "there is nothing to measure distances to"
        )
    return points


def _box(points: NDArray[np.float64], views: list[Keyframe], config: DistanceFieldConfig) -> Box:
    """Return a box around points and cameras, with voxels as fine as memory allows."""
    corners = np.concatenate([points, *(view.camera.centre[None] for view in views)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = max(config.voxel_size, float(np.prod(high - low + config.voxel_size) / MOST_VOXELS) ** (1 / 3))
    first = np.floor(low / size) - 1
    shape = (np.floor(high / size) + 2 - first).astype(int)
    return Box(first * size, size, (int(shape[0]), int(shape[1]), int(shape[2])))


def _sums(points: NDArray[np.float64], box: Box) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return sums [X, Y, Z, 3] and counts [X, Y, Z] of the points in each voxel."""
    index = np.floor((points - box.origin) / box.voxel_size).astype(np.int64)
    flat = np.ravel_multi_index(tuple(index.T), box.shape)
    cells = int(np.prod(box.shape))
    counts = np.bincount(flat, minlength=cells).reshape(box.shape)
    sums = [np.bincount(flat, weights=axis, minlength=cells).reshape(box.shape) for axis in points.T]
    return np.stack(sums, axis=-1), counts


def _distances(
    occupancy: NDArray[np.int8], sums: NDArray[np.float64], counts: NDArray[np.int64], box: Box
) -> NDArray[np.float32]:
    """Return the signed distances; free ones to the mean point of the nearest occupied voxel."""
    distance = np.full(box.shape, np.nan, np.float32)
    occupied, free = occupancy == OCCUPIED, occupancy == FREE
    nearest = distance_transform_edt(~occupied, return_distances=False, return_indices=True)
    where = tuple(axis[free] for axis in nearest)
    centres = box.origin + (np.argwhere(free) + 0.5) * box.voxel_size
    distance[free] = np.linalg.norm(centres - sums[where] / counts[where][:, None], axis=1)
    distance[occupied] = -box.voxel_size * distance_transform_edt(occupied)[occupied]
    return distance
