"""The covariance of the camera's pose: against poses drawn at random, and what says nothing."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconx_ros.ros.pose_covariance import known_covariance, of_camera


def pose(rotation: Rotation, position: tuple[float, float, float]) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation.as_matrix(), position
    return made


def test_as_poses_drawn_at_random_spread() -> None:
    rng = np.random.default_rng(0)
    root = 0.01 * rng.normal(size=(6, 6))
    of_base = root @ root.T
    world_from_odom = pose(Rotation.from_euler("z", 70, degrees=True), (3, 1, 0))
    odom_from_base = pose(Rotation.from_euler("xyz", [5, -8, 40], degrees=True), (2, -1, 0.1))
    base_from_camera = pose(Rotation.from_euler("xyz", [-90, 0, -90], degrees=True), (0.6, 0.2, 1.1))
    believed = world_from_odom @ odom_from_base @ base_from_camera
    errors = []
    for drawn in rng.multivariate_normal(np.zeros(6), of_base, 20_000):
        base = pose(Rotation.from_rotvec(drawn[3:]), (0, 0, 0)) @ odom_from_base
        base[:3, 3] = odom_from_base[:3, 3] + drawn[:3]
        true = world_from_odom @ base @ base_from_camera
        turned = Rotation.from_matrix(true[:3, :3] @ believed[:3, :3].T).as_rotvec()
        errors.append(np.concatenate([true[:3, 3] - believed[:3, 3], turned]))
    found = of_camera(of_base, odom_from_base @ base_from_camera, base_from_camera, world_from_odom)
    spread = np.cov(np.array(errors).T)
    np.testing.assert_allclose(found, spread, atol=0.04 * np.abs(spread).max())
    assert np.abs(of_base - spread).max() > 0.3 * np.abs(spread).max()


def test_a_yaw_of_the_robot_moves_a_camera_ahead_of_it_sideways() -> None:
    of_base = np.diag([0, 0, 0, 0, 0, 0.1**2])
    ahead = pose(Rotation.identity(), (2.0, 0, 0))
    found = of_camera(of_base, ahead, ahead, None)
    np.testing.assert_allclose(np.diag(found), [0, 0.2**2, 0, 0, 0, 0.1**2], atol=1e-12)
    assert found[1, 5] == pytest.approx(0.2 * 0.1)


def test_without_the_mounting_the_camera_is_where_the_base_is() -> None:
    of_base = np.diag([1.0, 4, 9, 0, 0, 1])
    quarter = pose(Rotation.from_euler("z", 90, degrees=True), (7, 0, 0))
    found = of_camera(of_base, np.eye(4), None, quarter)
    np.testing.assert_allclose(np.diag(found), [4, 1, 9, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("first", [0.0, -1.0, np.nan, np.inf])
def test_what_says_nothing_is_unknown(first: float) -> None:
    assert known_covariance([first, *[0.0] * 35]) is None
    assert known_covariance([0.5, *[0.0] * 35]) is not None
