"""Corrected trajectories: what moves when map -> odom jumps, and when SLAM publishes its path."""

import numpy as np
import pytest
from nav_msgs.msg import Path

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.corrections import Corrections, Mode
from reconx_ros.ros.journal_entries import KeyframeLine
from reconx_ros.ros.messages import path_message
from reconx_ros.ros.slam_path import SlamPath
from reconx_ros.sources.rigid import matrix_from_pose, rigid_inverse, slerp

SECOND = 10**9
K = np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])


def at(x: float, y: float = 0.0, degrees: float = 0.0) -> np.ndarray:
    half = np.radians(degrees) / 2
    return matrix_from_pose(np.array([x, y, 0.0]), np.array([0, 0, np.sin(half), np.cos(half)]))


def keyframe(index: int, pose: np.ndarray) -> Keyframe:
    return Keyframe(
        f"{index:06d}", index * SECOND, np.zeros((48, 64, 3), np.uint8), Camera(K, pose, 64, 48)
    )


def tracker(mode: Mode, odom: list[np.ndarray]) -> Corrections:
    """A tracker with a keyframe a second, where map and odom were thought to be the same."""
    made = Corrections(mode)
    assert made.heard(np.eye(4)) == {}
    for index, pose in enumerate(odom):
        made.note(keyframe(index, pose), pose, np.eye(4))
    return made


def test_drift_is_spread_along_the_way_and_the_newest_is_right() -> None:
    odom = [at(2.0 * i) for i in range(11)]
    made = tracker("spread", odom)
    jump = at(0, 1.0, 3.0)
    moved = made.heard(jump)
    assert "000000" not in moved  # where the way began nothing had drifted
    np.testing.assert_allclose(moved["000010"], jump @ odom[10], atol=1e-9)
    shifts = [np.linalg.norm(moved[f"{i:06d}"][:3, 3] - odom[i][:3, 3]) for i in range(1, 11)]
    assert (np.diff(shifts) > 0).all()
    middle = moved["000005"] @ rigid_inverse(odom[5])
    assert np.degrees(np.arctan2(middle[1, 0], middle[0, 0])) == pytest.approx(1.5)
    assert made.count == 1
    # The next jump moves only the way since this one.
    made.note(keyframe(11, jump @ at(22.0)), at(22.0), np.eye(4))
    assert set(made.heard(at(0, 1.2, 3.0))) == {"000011"}


def test_a_robot_that_is_localised_anew_takes_everything_along() -> None:
    odom = [at(0.2 * i) for i in range(4)]
    jump = at(10, -3, 90)
    moved = tracker("spread", odom).heard(jump)
    for index, pose in enumerate(odom):
        np.testing.assert_allclose(moved[f"{index:06d}"], jump @ pose, atol=1e-9)


def test_rigid_moves_all_alike_and_ignore_nothing() -> None:
    odom = [at(2.0 * i) for i in range(5)]
    jump = at(0.3, 0.1, 2)
    moved = tracker("rigid", odom).heard(jump)
    np.testing.assert_allclose(moved["000000"], jump @ odom[0], atol=1e-9)
    assert tracker("ignore", odom).heard(jump) == {}


def test_slow_drift_is_no_jump() -> None:
    made = tracker("spread", [at(2.0 * i) for i in range(5)])
    for step in range(100):
        assert made.heard(at(0.01 * step)) == {}


def test_a_frame_from_half_way_through_a_jump_is_placed_by_its_odometry() -> None:
    made = tracker("spread", [at(2.0 * i) for i in range(5)])
    jump = at(0, 1.0)
    made.heard(jump)
    half = at(10, 0.5)  # what interpolation between the old and the new map -> odom gave
    placed = made.note(keyframe(5, half), at(10), np.eye(4))
    np.testing.assert_allclose(placed.camera.world_from_camera, jump @ at(10), atol=1e-9)


def test_a_frame_without_odometry_on_its_way_never_moves() -> None:
    made = Corrections()
    made.note(keyframe(0, at(0)), None, None)
    made.heard(np.eye(4))
    assert made.heard(at(5)) == {}


def test_the_path_of_slam_says_where_each_keyframe_is() -> None:
    base_from_camera = matrix_from_pose(np.array([0.1, 0, 0.3]), np.array([0.5, -0.5, 0.5, -0.5]))
    made = Corrections("ignore")
    bases = [at(1.0 * i) for i in range(6)]
    for index, base in enumerate(bases):
        made.note(keyframe(index, base @ base_from_camera), None, base_from_camera)
    bent = [at(1.0 * i, 0.1 * i, 2.0 * i) for i in range(6)]
    cameras = [Camera(K, pose, 64, 48) for pose in bent]
    path = path_message("map", [(i * SECOND, c) for i, c in enumerate(cameras) if i != 3])
    moved = made.path(SlamPath.of(path))
    assert set(moved) == {f"{i:06d}" for i in range(1, 6)}
    np.testing.assert_allclose(moved["000004"], bent[4] @ base_from_camera, atol=1e-9)
    assert np.linalg.norm(moved["000003"][:3, 3] - (bent[3] @ base_from_camera)[:3, 3]) < 5e-3
    assert made.path(SlamPath.of(path)) == {}  # the same again moves nothing
    assert made.path(SlamPath.of(Path())) == {}


def test_keyframes_that_are_dropped_move_no_more() -> None:
    made = tracker("rigid", [at(2.0 * i) for i in range(5)])
    before = made.names
    made.note(keyframe(5, at(10)), at(10), np.eye(4))
    made.drop([*before, "000099"])
    assert made.names == ("000005",)
    assert set(made.heard(at(0, 1.0))) == {"000005"}


def lines(odom: list[np.ndarray]) -> list[KeyframeLine]:
    """What a journal holds of keyframes a second."""
    return [
        KeyframeLine(
            name=f"{i:06d}",
            stamp_ns=i * SECOND,
            pose=pose,
            odom_from_camera=pose,
            base_from_camera=np.eye(4),
        )
        for i, pose in enumerate(odom)
    ]


def resumed(mode: Mode, odom: list[np.ndarray]) -> Corrections:
    made = Corrections(mode)
    made.resume(lines(odom))
    assert made.heard(np.eye(4)) == {}
    return made


def test_after_a_restart_a_jump_takes_the_old_keyframes_along() -> None:
    odom = [at(0.2 * i) for i in range(4)]
    jump = at(10, -3, 90)
    moved = resumed("spread", odom).heard(jump)
    assert len(moved) == 4
    for index, pose in enumerate(odom):
        np.testing.assert_allclose(moved[f"{index:06d}"], jump @ pose, atol=1e-9)


def test_after_a_restart_drift_bends_the_way_since_and_tears_nothing() -> None:
    made = resumed("spread", [at(2.0 * i) for i in range(6)])
    for index in range(6, 12):
        made.note(keyframe(index, at(2.0 * index)), at(2.0 * index), np.eye(4))
    moved = made.heard(at(0, 1.0))
    assert set(moved) == {f"{i:06d}" for i in range(6, 12)}
    shifts = [moved[f"{i:06d}"][1, 3] for i in range(6, 12)]
    np.testing.assert_allclose(shifts, np.arange(1, 7) / 6, atol=1e-9)  # from where the old ones end


def test_after_a_restart_the_path_of_slam_moves_old_and_new() -> None:
    made = resumed("ignore", [at(1.0 * i) for i in range(3)])
    made.note(keyframe(3, at(3.0)), None, np.eye(4))
    cameras = [Camera(K, at(1.0 * i, 1.0), 64, 48) for i in range(4)]
    moved = made.path(SlamPath.of(path_message("map", [(i * SECOND, c) for i, c in enumerate(cameras)])))
    assert set(moved) == {f"{i:06d}" for i in range(4)}


def test_keyframes_of_a_journal_that_did_not_say_where_they_are_do_not_move() -> None:
    made = Corrections("rigid")
    made.resume([KeyframeLine(name="000000"), *lines([at(0), at(1.0)])[1:]])
    made.heard(np.eye(4))
    assert set(made.heard(at(0, 1.0))) == {"000001"}


def test_after_time_jumped_odometry_speaks_of_new_keyframes_and_the_path_of_all() -> None:
    odom = [at(2.0 * i) for i in range(4)]
    made = tracker("spread", odom)
    made.time_jumped()
    assert made.heard(at(0, 5.0)) == {}  # a bag begins again, where nothing was corrected yet
    assert made.heard(at(0, 7.0)) == {}
    made.note(keyframe(4, at(8.0, 7.0)), at(8.0), np.eye(4))
    assert set(made.heard(at(0, 9.0))) == {"000004"}
    cameras = [Camera(K, at(2.0 * i, 1.0), 64, 48) for i in range(5)]
    moved = made.path(SlamPath.of(path_message("map", [(i * SECOND, c) for i, c in enumerate(cameras)])))
    assert set(moved) == {f"{i:06d}" for i in range(5)}


def test_many_keyframes_are_placed_as_one_by_one() -> None:
    """Against the interpolation of two poses that the rest of the package uses."""
    rng = np.random.default_rng(3)
    turns = rng.normal(size=(20, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    places, stamps = rng.normal(size=(20, 3)), np.sort(rng.choice(10**6, 20, replace=False))
    path = SlamPath(stamps, places, turns)
    asked = rng.integers(stamps[0], stamps[-1], 200)
    known, poses = path.at(asked, 1e9)
    assert known.all()
    for stamp, pose in zip(asked, poses, strict=True):
        after = int(np.searchsorted(stamps, stamp))
        share = (stamp - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        place = (1 - share) * places[after - 1] + share * places[after]
        one = matrix_from_pose(place, slerp(turns[after - 1], turns[after], share))
        np.testing.assert_allclose(pose, one, atol=1e-9)
    outside = np.array([stamps[0] - 1, stamps[0], stamps[-1], stamps[-1] + 1])
    assert path.at(outside, 1e9)[0].tolist() == [False, True, True, False]
    assert not path.at(asked[~np.isin(asked, stamps)], 1.0)[0].any()


def test_poses_of_a_path_that_are_none_are_passed_over() -> None:
    cameras = [Camera(K, at(1.0 * i, 1.0), 64, 48) for i in range(3)]
    message = path_message("map", [(i * SECOND, c) for i, c in enumerate(cameras)])
    message.poses[1].pose.position.x = float("nan")
    message.poses[2].pose.orientation.w = 0.0
    message.poses[2].pose.orientation.z = 0.0
    made = Corrections("ignore")
    for index in range(3):
        made.note(keyframe(index, at(1.0 * index)), None, np.eye(4))
    assert set(made.path(SlamPath.of(message))) == {"000000"}
