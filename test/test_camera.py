"""The camera's conventions, against analytic cases and OpenCV."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera

numbers = st.floats(-2, 2)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)


def a_camera(rotation: np.ndarray, centre: np.ndarray) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rotation).as_matrix()
    pose[:3, 3] = centre
    return Camera(np.array([[300.0, 0, 159.5], [0, 290.0, 119.0], [0, 0, 1]]), pose, 320, 240)


@settings(deadline=None)
@given(rotation=vectors, centre=vectors)
def test_projection_agrees_with_opencv(rotation: np.ndarray, centre: np.ndarray) -> None:
    camera = a_camera(rotation, centre)
    local = np.random.default_rng(0).uniform([-1, -1, 1], [1, 1, 5], (20, 3))
    world = local @ camera.world_from_camera[:3, :3].T + centre
    pixels, depth = camera.project(world)
    inverse = np.linalg.inv(camera.world_from_camera)
    # Not cv2.Rodrigues, which takes angles below 1e-5 for none.
    turn = Rotation.from_matrix(inverse[:3, :3]).as_rotvec()
    expected, _ = cv2.projectPoints(world, turn, inverse[:3, 3], camera.intrinsics, None)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(depth, local[:, 2], atol=1e-9)
    np.testing.assert_allclose(camera.camera_from_world, inverse, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(rotation=vectors, centre=vectors)
def test_unprojected_depth_projects_back(rotation: np.ndarray, centre: np.ndarray) -> None:
    camera = a_camera(rotation, centre)
    depth = np.random.default_rng(1).uniform(0.5, 4, (240, 320)).astype(np.float32)
    pixels, back = camera.project(camera.unproject(depth).astype(np.float64))
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    np.testing.assert_allclose(pixels, np.stack([columns, rows], -1), atol=2e-3)
    np.testing.assert_allclose(back, depth, atol=1e-5)


def test_resizing_keeps_the_corners_of_the_image() -> None:
    """The image spans [-0.5, W - 0.5]; its corners see the same rays at any size."""
    camera = a_camera(np.zeros(3), np.zeros(3))
    half = camera.resized(160, 120)
    for corner, small in (((-0.5, -0.5), (-0.5, -0.5)), ((319.5, 239.5), (159.5, 119.5))):
        ray = np.linalg.inv(camera.intrinsics) @ [*corner, 1]
        np.testing.assert_allclose(np.linalg.inv(half.intrinsics) @ [*small, 1], ray, atol=1e-12)
    np.testing.assert_allclose(half.resized(320, 240).intrinsics, camera.intrinsics, atol=1e-12)
