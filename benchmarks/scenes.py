"""Scenes that the rasterizer is timed on."""

from pathlib import Path

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.mapping.folder import load_map
from reconx_ros.sources.nerfstudio import load_cameras
from reconx_ros.splatting.gaussians import GaussianMap

SH_C0 = 0.28209479


def box(count: int, width: int, height: int) -> tuple[GaussianMap, Camera]:
    """Return Gaussians uniform in a box of 16 x 12 x 2 m and a camera 8 m before its centre.

    Linear scales are uniform in 0.02 to 0.08 m, the opacity is 0.73, the SH degree 0, and the horizontal
    field of view 90 degrees.
    """
    rng = np.random.default_rng(0)
    gaussians = GaussianMap(
        rng.uniform([-8, -6, 7], [8, 6, 9], (count, 3)).astype(np.float32),
        np.log(rng.uniform(0.02, 0.08, (count, 3))).astype(np.float32),
        rng.normal(size=(count, 4)).astype(np.float32),
        np.full(count, np.log(0.73 / 0.27), np.float32),
        ((rng.uniform(size=(count, 1, 3)) - 0.5) / SH_C0).astype(np.float32),
        np.ones(count, np.float32),
        np.zeros(count, np.uint8),
    )
    focal = width / 2
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return gaussians, Camera(intrinsics, np.eye(4), width, height)


def from_folder(folder: Path) -> tuple[GaussianMap, Camera]:
    """Return the map of a run folder, as ``reconx reconstruct`` leaves it, and its middle camera."""
    cameras = load_cameras(folder / "cameras.json")
    return load_map(folder), cameras[len(cameras) // 2][1]
