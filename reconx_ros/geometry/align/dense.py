"""The relative pose of two RGB-D views by all their pixels: colour and depth together."""

from typing import Any

import cv2
import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

ITERATIONS = (20, 10, 5)
"""From the coarsest level of the pyramid to the finest."""

SAME_DEPTH = 0.05
"""World units by which the depths of one place may differ in two views."""

MOST_SHIFT = 0.1
MOST_TURN = np.deg2rad(4.0)
"""A result farther from where it started is no refinement (world units, radians)."""


class DenseView:
    """An RGB-D view ready to be compared with others."""

    def __init__(self, image: NDArray[np.uint8], depth: Floats, camera: Camera) -> None:
        """Prepare a view.

        Args:
            image: [H, W, 3] uint8 RGB.
            depth: [H, W] float32, NaN unknown.
            camera: its intrinsics.
        """
        k = camera.intrinsics
        self.size = (camera.width, camera.height)
        self._intrinsics = o3d.camera.PinholeCameraIntrinsic(*self.size, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
        known = np.nan_to_num(depth).astype(np.float32)
        self._far = float(known.max()) + 1.0
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        self._grey_mean, self._grey, self._depth = float(grey.mean()), grey, known

    def refine(self, other: "DenseView", pose: Array) -> Array:
        """Return the pose [4, 4] of ``other`` in this view's frame, refined from ``pose``.

        Minimises differences of colour and depth over all pixels (Park, Zhou and Koltun 2017, as in
        Open3D), after the exposures are made equal. Where the views differ in size, or the result is
        far off, ``pose`` is returned as it is.
        """
        if self.size != other.size:
            return pose
        option = o3d.pipelines.odometry.OdometryOption(
            iteration_number_per_pyramid_level=o3d.utility.IntVector(ITERATIONS),
            depth_diff_max=SAME_DEPTH,
            depth_min=0.0,
            depth_max=max(self._far, other._far),
        )
        found, refined, _ = o3d.pipelines.odometry.compute_rgbd_odometry(
            other._image(self._grey_mean),
            self._image(self._grey_mean),
            self._intrinsics,
            pose,
            o3d.pipelines.odometry.RGBDOdometryJacobianFromHybridTerm(),
            option,
        )
        change = np.linalg.inv(pose) @ refined
        turn = np.arccos(np.clip((np.trace(change[:3, :3]) - 1) / 2, -1, 1))
        near = np.linalg.norm(change[:3, 3]) <= MOST_SHIFT and turn <= MOST_TURN
        return np.asarray(refined if found and near else pose, dtype=np.float64)

    def _image(self, mean: float) -> Any:  # noqa: ANN401 - the types of open3d
        """Return the view as open3d takes it, at the exposure of an image of ``mean`` grey."""
        grey: Any = np.clip(self._grey * (mean / max(self._grey_mean, 1e-3)), 0, 1).astype(np.float32)
        depth: Any = self._depth
        image = o3d.geometry.RGBDImage()
        image.color, image.depth = o3d.geometry.Image(grey), o3d.geometry.Image(depth)
        return image
