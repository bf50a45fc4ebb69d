from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.geometry.normals import normals_from_depth


@pytest.mark.parametrize("tilt", [0, 20, 45, 70])
@pytest.mark.parametrize("turn", [0, 30])
def test_normals_of_a_tilted_plane_are_exact(
    make_camera: Callable[..., Camera],
    plane_depth: Callable[..., NDArray[np.float32]],
    tilt: float,
    turn: float,
) -> None:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("yx", [turn, -7], degrees=True).as_matrix()
    camera = make_camera(pose)
    normal = pose[:3, :3] @ Rotation.from_euler("y", tilt, degrees=True).apply([0, 0, -1])
    depth = plane_depth(camera, normal, camera.centre + 2 * pose[:3, 2])
    depth[depth > 8] = np.nan
    normals = normals_from_depth(depth, camera, edge_ratio=0.1)
    known = np.isfinite(normals[..., 0])
    assert known[np.isfinite(depth)].mean() > 0.9
    angle = np.degrees(np.arccos(np.clip(normals[known] @ normal, -1, 1)))
    assert angle.max() < 0.5


def test_normals_do_not_mix_two_surfaces(make_camera: Callable[..., Camera]) -> None:
    camera = make_camera()
    depth = np.full((120, 160), 2, np.float32)
    depth[:, 80:] = 3
    normals = normals_from_depth(depth, camera, edge_ratio=0.05)
    assert np.abs(normals @ np.array([0, 0, -1], np.float32) - 1).max() < 1e-5


def test_normals_of_noisy_depth_stay_within_ten_degrees(make_camera: Callable[..., Camera]) -> None:
    camera = make_camera(width=480, height=360)
    rng = np.random.default_rng(0)
    depth = (2 + rng.normal(0, 0.0015 * 4, (360, 480))).astype(np.float32)
    normals = normals_from_depth(depth, camera, edge_ratio=0.05)
    angle = np.degrees(np.arccos(np.clip(-normals[..., 2], -1, 1)))
    assert np.median(angle) < 7


def test_isolated_pixels_have_no_normal(make_camera: Callable[..., Camera]) -> None:
    depth = np.full((120, 160), np.nan, np.float32)
    depth[60, 80] = 2
    depth[20, 10:150] = 2  # a line: no plane
    assert np.isnan(normals_from_depth(depth, make_camera(), 0.05)).all()
