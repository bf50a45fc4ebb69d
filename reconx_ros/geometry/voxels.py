"""Points grouped by the voxel they lie in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError

BITS = 21
"""Bits of a key for each axis: a world of two million voxels across."""


@dataclass(frozen=True, eq=False)
class VoxelSums:
    """Weighted sums over the points of each voxel, in ascending order of key.

    Attributes:
        keys: [M] int64, distinct and ascending.
        weight: [M] float64, sum of the weights.
        values: [M, D] float64, weighted sums of the values.
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
    cells = np.floor(points.astype(np.float64) / voxel_size)
    half = 1 << (BITS - 1)
    if points.size and not (np.abs(cells).max() < half):
        far = float(np.nanmax(np.abs(points)))
        raise GeometryError(
            f"a point is {far:.0f} m from the origin of the world; with voxels of {voxel_size:g} m at most "
            f"{half * voxel_size:.0f} m are possible (put the map frame near the robot)"
        )
    index = cells.astype(np.int64) + half
    return (index[:, 0] << (2 * BITS)) | (index[:, 1] << BITS) | index[:, 2]


def sum_by_voxel(
    keys: NDArray[np.int64], weights: NDArray[np.float32], values: NDArray[np.float32]
) -> VoxelSums:
    """Sum ``values`` [N, D] weighted by ``weights`` [N] over equal ``keys`` [N]."""
    distinct, group = np.unique(keys, return_inverse=True)
    count = len(distinct)
    sums = np.empty((count, values.shape[1]))
    for column in range(values.shape[1]):
        sums[:, column] = np.bincount(group, weights * values[:, column], count)
    total = np.asarray(np.bincount(group, weights, count), dtype=np.float64)
    return VoxelSums(distinct, total, sums, np.bincount(group, minlength=count))
