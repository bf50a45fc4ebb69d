"""Registered depth against planes whose depth in the other camera is known in closed form."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.sources.registration import DepthRegistration
from reconx_ros.sources.rigid import matrix_from_pose

Array = NDArray[np.float64]


def camera(focal: float, width: int, height: int, pose: Array | None = None) -> Camera:
    intrinsics = np.array([[focal, 0, width / 2 - 0.7], [0, focal, height / 2 + 0.3], [0, 0, 1]])
    return Camera(intrinsics, np.eye(4) if pose is None else pose, width, height)


def plane(view: Camera, normal: Array, distance: float) -> NDArray[np.float32]:
    """Depth of n . x = distance, x in the world, along every pixel's ray."""
    rays = view.rays() @ view.world_from_camera[:3, :3].T
    depth = (distance - normal @ view.centre) / (rays @ normal)
    return np.where(depth > 0, depth, np.nan).astype(np.float32)


def register(source: Camera, target: Camera, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    target_from_source = target.camera_from_world @ source.world_from_camera
    sizes = (source.width, source.height), (target.width, target.height)
    made = DepthRegistration(source.intrinsics, sizes[0], target.intrinsics, sizes[1], target_from_source)
    return made.register(depth)


BESIDE = matrix_from_pose(np.array([0.05, -0.01, 0.02]), np.array([0.01, -0.02, 0.005, 0.99973]) / 0.99997)
BESIDE[:3, :3] = np.linalg.qr(BESIDE[:3, :3])[0] @ np.diag(
    np.sign(np.diag(np.linalg.qr(BESIDE[:3, :3])[1]))
)


@pytest.mark.parametrize("focal", [60.0, 100.0, 230.0, 420.0])
@pytest.mark.parametrize("tilt", [0.0, 0.7])
def test_a_plane_has_no_holes_at_any_magnification(focal: float, tilt: float) -> None:
    """From a colour camera of half to four times the depth camera's resolution."""
    source = camera(100.0, 120, 90)
    target = camera(focal, int(focal), int(focal * 0.7), BESIDE)
    normal = np.array([np.sin(tilt), 0, np.cos(tilt)])
    result, expected = register(source, target, plane(source, normal, 2.0)), plane(target, normal, 2.0)
    # where the depth camera looks, but for a pixel of its border
    pixels, _ = source.project(target.unproject(expected).astype(np.float64))
    seen = (
        (pixels > 0.5).all(-1)
        & (pixels[..., 0] < source.width - 1.5)
        & (pixels[..., 1] < source.height - 1.5)
    )
    assert seen.mean() > 0.4
    assert np.isfinite(result[seen]).all()
    # a sample lies at most half a target pixel from the pixel's centre
    step = np.nanmax(np.abs(np.diff(expected, axis=1)))
    error = np.abs(result - expected)[seen]
    assert error.max() < 0.75 * step + 2e-3 and np.median(error) < 0.15 * step + 1e-4


def test_the_same_camera_changes_nothing() -> None:
    view = camera(100.0, 64, 48)
    depth = plane(view, np.array([0.3, 0.1, 0.95]), 1.5)
    depth[10:14, 20:30] = np.nan
    result = register(view, view, depth)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(depth))
    assert np.nanmax(np.abs(result - depth)) < 2e-3


@pytest.mark.parametrize("side", [1, -1])
def test_the_nearer_surface_hides_the_farther(side: int) -> None:
    """A box before a wall: in the other camera the box covers wall, and wall it uncovers is unknown."""
    source = camera(200.0, 200, 100)
    pose = np.eye(4)
    pose[0, 3] = 0.1 * side
    target = camera(200.0, 200, 100, pose)
    depth = np.full((100, 200), 4.0, np.float32)
    depth[30:70, 80:120] = 1.0
    result = register(source, target, depth)[:, ::side]
    # disparity = 200 * 0.1 / z: 20 pixels for the box, 5 for the wall; the other side is its mirror image
    np.testing.assert_allclose(result[32:68, 62:98], 1.0, atol=1e-3)
    assert np.isnan(result[35:65, 102:113]).all()
    np.testing.assert_allclose(result[5:25, 5:190], 4.0, atol=1e-3)
    known = result[np.isfinite(result)]
    assert ((np.abs(known - 1) < 0.01) | (np.abs(known - 4) < 0.01)).all(), "depth made up between surfaces"


def test_what_is_behind_the_target_is_left_out() -> None:
    source = camera(100.0, 40, 30)
    pose = np.eye(4)
    pose[2, 3] = 3.0
    assert np.isnan(register(source, camera(100.0, 40, 30, pose), np.full((30, 40), 2.0, np.float32))).all()
    assert np.isnan(register(source, source, np.full((30, 40), np.nan, np.float32))).all()
