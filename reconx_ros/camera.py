"""A pinhole camera with a pose.

Pixel convention, everywhere in this package: the centre of the top-left pixel is (0, 0), as in ROS
``camera_info`` and OpenCV. Formats that put it at (0.5, 0.5) (COLMAP, Nerfstudio, gsplat) are
converted at the edge.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion.

    Attributes:
        intrinsics: [3, 3] float64, pixels; the centre of the top-left pixel is (0, 0).
        world_from_camera: [4, 4] float64; camera axes optical: x right, y down, z forward.
        width: image width in pixels.
        height: image height in pixels.
    """

    intrinsics: Array
    world_from_camera: Array
    width: int
    height: int

    @property
    def camera_from_world(self) -> Array:
        """[4, 4] float64, the inverse pose (exact for a rigid transform)."""
        rotation, translation = self.world_from_camera[:3, :3], self.world_from_camera[:3, 3]
        inverse = np.eye(4)
        inverse[:3, :3] = rotation.T
        inverse[:3, 3] = -rotation.T @ translation
        return inverse

    @property
    def centre(self) -> Array:
        """[3] float64, the optical centre in the world."""
        return self.world_from_camera[:3, 3]

    def resized(self, width: int, height: int) -> "Camera":
        """Return the camera of the same view resampled to ``width`` x ``height`` pixels."""
        scale = np.array([width / self.width, height / self.height])
        intrinsics = self.intrinsics.copy()
        intrinsics[:2] *= scale[:, None]
        intrinsics[:2, 2] = (self.intrinsics[:2, 2] + 0.5) * scale - 0.5
        return replace(self, intrinsics=intrinsics, width=width, height=height)

    def moved(self, world_from_camera: Array) -> "Camera":
        """Return the same camera at another pose."""
        return replace(self, world_from_camera=world_from_camera)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Project world points.

        Args:
            points: [..., 3] in the world.

        Returns:
            pixels [..., 2] (x, y) and depth [...] along the optical axis. Pixels of points with
            depth <= 0 carry no meaning.
        """
        camera_from_world = self.camera_from_world
        local = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        depth = local[..., 2]
        safe = np.where(np.abs(depth) < 1e-12, 1e-12, depth)
        pixels = (local / safe[..., None]) @ self.intrinsics[:2].T
        return pixels, depth

    def rays(self) -> Array:
        """[height, width, 3] float64 directions in the camera frame with z = 1."""
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        pixels = np.stack([columns, rows, np.ones_like(columns)], axis=-1).astype(np.float64)
        return pixels @ np.linalg.inv(self.intrinsics).T

    def unproject(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the [height, width, 3] world points of a depth image (metres, NaN unknown)."""
        local = self.rays() * depth[..., None].astype(np.float64)
        pose = self.world_from_camera
        return (local @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)
