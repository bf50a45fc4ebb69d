"""Groups of voxels move rigidly: what a corrected trajectory does to a cloud."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.voxel_store import SUMS, Voxels
from reconx_ros.geometry.voxels import voxel_keys


def move_groups(voxels: Voxels, motions: Mapping[int, NDArray[np.float64]], voxel_size: float) -> Voxels:
    """Return ``voxels`` with each group moved by its rigid motion [4, 4] and sorted into the grid anew.

    Voxels that come to lie in one cell are merged into the first of them. The centroid of a voxel
    moves exactly; only its cell is rounded.

    Raises:
        GeometryError: a point is too far from the origin of the world for the voxel size.
    """
    values = voxels.values.copy()
    for group, motion in motions.items():
        mine = voxels.group == group
        rotation, shift = motion[:3, :3], motion[:3, 3]
        values[mine, :3] = values[mine, :3] @ rotation.T + voxels.weight[mine, None] * shift
        values[mine, 6:] = values[mine, 6:] @ rotation.T
    moved = replace(voxels, values=values)
    moved = replace(moved, keys=voxel_keys(moved.means()[:, :3].astype(np.float32), voxel_size))
    _, first, cell = np.unique(moved.keys, return_index=True, return_inverse=True)
    merged, sums = moved.select(first), {}
    for name in SUMS:
        sums[name] = np.zeros_like(getattr(merged, name))
        np.add.at(sums[name], cell, getattr(moved, name))
    np.minimum.at(merged.provenance, cell, moved.provenance)
    return replace(merged, **sums).select(np.argsort(first))  # the order they were created in
