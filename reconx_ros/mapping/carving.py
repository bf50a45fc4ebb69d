"""Which voxels a measured depth image looks through: the evidence for free space."""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from reconx_ros.camera import Camera

UNKNOWN, FREE, OCCUPIED = -1, 0, 100

MARGIN = 0.01
"""Share of its depth by which a voxel must lie before what was measured: a sensor's noise."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box of voxels.

    Attributes:
        origin: [3] float64 metres, its lowest corner.
        voxel_size: metres.
        shape: voxels along x, y, z.
    """

    origin: NDArray[np.float64]
    voxel_size: float
    shape: tuple[int, int, int]


def carve(
    occupancy: NDArray[np.int8], box: Box, camera: Camera, depth: NDArray[np.float32], max_range: float
) -> None:
    """Mark as free, in place, each unknown voxel that lies wholly before the measured depth.

    A voxel's sphere is compared at nine pixels of its image, which all must be known. Occupied voxels
    stay occupied.

    Args:
        occupancy: [X, Y, Z].
        box: of its voxels.
        camera: of the depth image, in the world.
        depth: [H, W] metres along the optical axis, NaN unknown.
        max_range: metres along the optical axis beyond which nothing is carved.
    """
    low, high = _reach(box, camera, depth, max_range)
    if (low < high).all():
        _carve(
            occupancy,
            box.origin,
            box.voxel_size,
            camera.camera_from_world,
            camera.intrinsics,
            depth,
            max_range,
            low,
            high,
        )


def _reach(
    box: Box, camera: Camera, depth: NDArray[np.float32], max_range: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the range of voxels [3], [3] that the view can reach at all."""
    if not np.isfinite(depth).any():
        return np.zeros(3, np.int64), np.zeros(3, np.int64)
    far = min(float(np.nanmax(depth)), max_range)
    width, height = camera.width - 1, camera.height - 1
    pixels = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64)
    rays = far * pixels @ np.linalg.inv(camera.intrinsics).T
    pose = camera.world_from_camera
    corners = np.concatenate([rays @ pose[:3, :3].T + pose[:3, 3], camera.centre[None]])
    index = (corners - box.origin) / box.voxel_size
    low = np.clip(np.floor(index.min(axis=0)), 0, box.shape).astype(np.int64)
    high = np.clip(np.ceil(index.max(axis=0)), 0, box.shape).astype(np.int64)
    return low, high


@njit(cache=True, parallel=True)  # type: ignore[untyped-decorator]
def _carve(
    occupancy: NDArray[np.int8],
    origin: NDArray[np.float64],
    size: float,
    camera_from_world: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    depth: NDArray[np.float32],
    max_range: float,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> None:
    height, width = depth.shape
    radius = 0.5 * np.sqrt(3.0) * size
    pose = camera_from_world
    for i in prange(low[0], high[0]):
        x = origin[0] + (i + 0.5) * size
        for j in range(low[1], high[1]):
            y = origin[1] + (j + 0.5) * size
            for k in range(low[2], high[2]):
                if occupancy[i, j, k] != UNKNOWN:
                    continue
                z = origin[2] + (k + 0.5) * size
                cz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
                if cz <= radius or cz > max_range:
                    continue
                cx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]
                cy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]
                u = intrinsics[0, 0] * cx / cz + intrinsics[0, 1] * cy / cz + intrinsics[0, 2]
                v = intrinsics[1, 1] * cy / cz + intrinsics[1, 2]
                ru, rv = intrinsics[0, 0] * radius / cz, intrinsics[1, 1] * radius / cz
                needed = cz + radius + MARGIN * cz
                through = True
                for a in range(-1, 2):
                    for b in range(-1, 2):
                        column, row = int(np.rint(u + a * ru)), int(np.rint(v + b * rv))
                        inside = 0 <= column < width and 0 <= row < height
                        # NaN compares false: where nothing was measured nothing is free.
                        if not inside or not depth[row, column] > needed:
                            through = False
                if through:
                    occupancy[i, j, k] = FREE
