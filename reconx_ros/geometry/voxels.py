"""Points grouped by the voxel they lie in."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.protocol import PointMap

BITS = 21
"""Bits of a key for each axis: a world of two million voxels across."""

HALF = 1 << (BITS - 1)

LEAST_WEIGHT = 1e-3
"""Weight of a point of C = 1: kept, but any better measurement decides."""


@dataclass(frozen=True, eq=False)
class VoxelSums:
    """Weighted sums over the points of each voxel.

    Attributes:
        keys: [M] int64, distinct, in order of first appearance.
        weight: [M] float64, sum of the weights.
        values: [M, 9] float64, weighted sums of position, colour (0 to 255) and normal.
        points: [M] int64, number of points.
    """

    keys: NDArray[np.int64]
    weight: NDArray[np.float64]
    values: NDArray[np.float64]
    points: NDArray[np.int64]


def voxel_keys(points: NDArray[np.float32], voxel_size: float) -> NDArray[np.int64]:
    """Return a key for each of ``points`` [N, 3]: equal exactly for points of one voxel.

    Voxel (i, j, k) holds the points with ``floor(p / voxel_size) = (i, j, k)``.

    Raises:
        GeometryError: a point is too far from the origin of the world to be given a voxel.
    """
    check_range(points, voxel_size)
    index = np.floor(points.astype(np.float64) / voxel_size).astype(np.int64) + HALF
    return np.asarray((index[:, 0] << (2 * BITS)) | (index[:, 1] << BITS) | index[:, 2])


def check_range(points: NDArray[np.float32], voxel_size: float) -> None:
    """Check that all known ``points`` [..., 3] have a voxel.

    Raises:
        GeometryError: a point is too far from the origin of the world.
    """
    far = max(
        float(np.fmax.reduce(points, axis=None, initial=0)),
        -float(np.fmin.reduce(points, axis=None, initial=0)),
    )
    if not far / voxel_size < HALF - 1:
        raise GeometryError(
            f"a point is {far:.0f} m from the origin of the world; with voxels of {voxel_size:g} m at most "
            f"{HALF * voxel_size:.0f} m are possible (put the map frame near the robot)"
        )


def sum_by_voxel(
    pointmap: PointMap,
    image: NDArray[np.uint8],
    centre: NDArray[np.float64],
    voxel_size: float,
    min_confidence: float = 1.0,
) -> VoxelSums:
    """Sum position, colour and normal of a view by voxel, weighted by C - 1 (``LEAST_WEIGHT`` at least).

    An unknown normal counts as the direction to the camera.

    Args:
        pointmap: the view's points; unknown ones are left out.
        image: [H, W, 3] uint8 RGB.
        centre: [3] float64, optical centre of the camera in the world.
        voxel_size: edge length in world units.
        min_confidence: C below which a point is left out.

    Raises:
        GeometryError: a point is too far from the origin of the world to be given a voxel.
    """
    check_range(pointmap.points, voxel_size)
    keys, weight, values, points = _sum(
        pointmap.points.reshape(-1, 3),
        pointmap.normals.reshape(-1, 3),
        pointmap.confidence.reshape(-1),
        image.reshape(-1, 3),
        centre,
        voxel_size,
        min_confidence,
    )
    return VoxelSums(keys, weight, values, points)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _sum(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    confidence: NDArray[np.float32],
    colors: NDArray[np.uint8],
    centre: NDArray[np.float64],
    voxel_size: float,
    min_confidence: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Sum by voxel with a hash table of open addressing, at most half full."""
    capacity = 16
    while capacity < 2 * len(points):
        capacity *= 2
    table = np.full(capacity, -1, np.int32)  # row of the voxel, -1 free
    keys = np.empty(len(points), np.int64)
    weight = np.empty(len(points), np.float64)
    values = np.empty((len(points), 9), np.float64)
    count = np.empty(len(points), np.int64)
    rows = 0
    value = np.empty(9, np.float64)
    for i in range(len(points)):
        if not (np.isfinite(points[i, 2]) and confidence[i] >= min_confidence):
            continue
        key = np.int64(0)
        length = 0.0
        for axis in range(3):
            position = np.float64(points[i, axis])
            key = (key << BITS) | (np.int64(np.floor(position / voxel_size)) + HALF)
            toward = centre[axis] - position
            length += toward * toward
            value[axis] = position
            value[3 + axis] = colors[i, axis]
            value[6 + axis] = toward
        for axis in range(3):
            known = np.isfinite(normals[i, axis])
            value[6 + axis] = normals[i, axis] if known else value[6 + axis] / np.sqrt(length)
        # Multiplying by 2^64 / golden ratio spreads neighbouring keys over the high bits.
        slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (capacity - 1)
        while table[slot] >= 0 and keys[table[slot]] != key:
            slot = (slot + 1) & (capacity - 1)
        row = table[slot]
        if row < 0:
            row = rows
            table[slot] = row
            keys[row], weight[row], count[row] = key, 0.0, 0
            values[row] = 0.0
            rows += 1
        w = max(np.float64(confidence[i]) - 1.0, LEAST_WEIGHT)
        weight[row] += w
        count[row] += 1
        for axis in range(9):
            values[row, axis] += w * value[axis]
    return keys[:rows].copy(), weight[:rows].copy(), values[:rows].copy(), count[:rows].copy()
