"""Poses from live TF and odometry, with the choice of the world, and the queue that waits for them."""

import sys
import threading

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from tf2_msgs.msg import TFMessage

from reconx_ros.ros.messages import time_message
from reconx_ros.ros.pending import PATIENCE_S, PoseQueue
from reconx_ros.ros.pose_source import Frames, LivePoses
from reconx_ros.sources.frame_graph import TransformError

SECOND = 10**9


def transform(parent: str, child: str, stamp_ns: int, x: float) -> TFMessage:
    item = TransformStamped(child_frame_id=child)
    item.header.frame_id, item.header.stamp = parent, time_message(stamp_ns)
    item.transform.translation.x, item.transform.rotation.w = x, 1.0
    return TFMessage(transforms=[item])


def odometry(stamp_ns: int, x: float) -> Odometry:
    message = Odometry(child_frame_id="base_link")
    message.header.frame_id, message.header.stamp = "odom", time_message(stamp_ns)
    message.pose.pose.position.x, message.pose.pose.orientation.w = x, 1.0
    return message


def tree(poses: LivePoses, *, with_map: bool) -> LivePoses:
    if with_map:
        poses.add_transforms(transform("map", "odom", 0, 100.0), static=True)
    poses.add_transforms(transform("base_link", "camera", 0, 0.5), static=True)
    for second in (1, 2):
        poses.add_transforms(transform("odom", "base_link", second * SECOND, float(second)), static=False)
    return poses


def test_pose_is_interpolated_at_the_stamp_through_the_whole_tree() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=True)
    pose = poses.pose("camera", int(1.25 * SECOND), fall_back=False)
    np.testing.assert_allclose(pose[:3, 3], [101.75, 0, 0], atol=1e-9)
    assert poses.world == "map"


def test_odom_stands_in_for_map_only_when_allowed_and_then_stays() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=False)
    with pytest.raises(TransformError, match="no transform map -> camera; frames seen: base_link"):
        poses.pose("camera", SECOND, fall_back=False)
    assert poses.pose("camera", SECOND, fall_back=True)[0, 3] == pytest.approx(1.5)
    poses.add_transforms(transform("map", "odom", 0, 100.0), static=True)
    assert poses.pose("camera", 2 * SECOND, fall_back=True)[0, 3] == pytest.approx(2.5)
    assert poses.world == "odom"


def test_odometry_topic_gives_poses_where_asked() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2), kind="odom"), with_map=True)
    with pytest.raises(TransformError, match="no odometry"):
        poses.pose("camera", SECOND, fall_back=True)
    for second in (1, 2):
        poses.add_odometry(odometry(second * SECOND, 10.0 * second))
    assert poses.pose("camera", int(1.5 * SECOND), fall_back=False)[0, 3] == pytest.approx(15.5)


def test_odometry_as_in_ros_1_loses_the_slash_of_its_frame() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2), kind="odom"), with_map=False)
    for second in (1, 2):
        message = odometry(second * SECOND, 10.0 * second)
        message.header.frame_id = "/odom"
        poses.add_odometry(message)
    poses.pose("camera", SECOND, fall_back=False)
    assert poses.world == "odom"


def test_tf_alone_never_uses_odometry() -> None:
    poses = LivePoses(Frames(), kind="tf")
    poses.add_transforms(transform("base_link", "camera", 0, 0.5), static=True)
    poses.add_odometry(odometry(SECOND, 1.0))
    with pytest.raises(TransformError):
        poses.pose("camera", SECOND, fall_back=True)


def test_where_a_frame_is_now_is_known_up_to_the_slowest_publisher() -> None:
    """Localisation tells map -> odom once a second, odometry odom -> base_link ten times."""
    poses = LivePoses(Frames())
    poses.add_transforms(transform("base_link", "camera", 0, 0.5), static=True)
    for second in (1, 2):
        poses.add_transforms(transform("map", "odom", second * SECOND, 100.0 * second), static=False)
    for tenth in range(10, 28):
        poses.add_transforms(transform("odom", "base_link", tenth * SECOND // 10, tenth / 10), static=False)
    assert poses.newest("base_link")[0, 3] == pytest.approx(202.0)
    assert poses.newest("camera")[0, 3] == pytest.approx(202.5)
    assert poses.newest("map")[0, 3] == 0.0
    with pytest.raises(TransformError, match="no transform map -> arm; frames seen: base_link"):
        poses.newest("arm")


def test_where_a_frame_is_now_is_told_by_odometry_where_that_is_the_world() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2), kind="odom"), with_map=False)
    for second in (1, 2):
        poses.add_odometry(odometry(second * SECOND, 10.0 * second))
    poses.pose("camera", SECOND, fall_back=False)
    assert poses.newest("camera")[0, 3] == pytest.approx(20.5)


def test_map_to_odom_may_lead_over_another_frame() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=False)
    poses.add_transforms(transform("odom_drift", "odom", 0, 1.0), static=True)
    for second in (1, 2):
        poses.add_transforms(transform("map", "odom_drift", second * SECOND, 5.0 * second), static=False)
    poses.pose("camera", 2 * SECOND, fall_back=False)
    newest = poses.odom_in_world(None)
    assert newest is not None and newest[0, 3] == pytest.approx(11.0)


def test_a_static_transform_that_contradicts_odometry_alone_is_named() -> None:
    poses = LivePoses(Frames())
    poses.add_odometry(odometry(SECOND, 1.0))
    refused = poses.add_transforms(transform("base_link", "odom", 0, 0.5), static=True)
    loop = "transform base_link -> odom closes a loop: odom -> base_link is there already"
    assert refused == f"{loop}, by odometry"


def test_clear_forgets_moving_transforms_only() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=True)
    poses.clear()
    with pytest.raises(TransformError):
        poses.pose("camera", SECOND, fall_back=False)
    poses.add_transforms(transform("odom", "base_link", SECOND, 7.0), static=False)
    assert poses.pose("camera", SECOND, fall_back=False)[0, 3] == pytest.approx(107.5)


def test_covariance_is_asked_for_while_odometry_comes() -> None:
    """Of 200 kept the one nearest in time, in another thread than that which adds them."""
    poses = LivePoses(Frames())
    message = odometry(0, 1.0)
    message.pose.covariance[0] = 0.5
    failed: list[Exception] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                found = poses.covariance(0)
                assert found is None or found[0, 0] == 0.5
        except Exception as err:
            failed.append(err)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        asker = threading.Thread(target=ask)
        asker.start()
        for index in range(2000):
            message.header.stamp = time_message(index)
            poses.add_odometry(message)
        done.set()
        asker.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert failed == []


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def queue(poses: LivePoses, timeout: float = 0.5) -> tuple["PoseQueue[str]", Clock, list[str]]:
    clock, said = Clock(), list[str]()
    made: PoseQueue[str] = PoseQueue(poses, timeout, lambda _, line: said.append(line), clock=clock)
    return made, clock, said


def test_a_frame_waits_for_a_transform_that_is_late() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=True)
    frames, clock, said = queue(poses)
    frames.push("late", "camera", int(2.1 * SECOND))
    assert frames.ready() == []
    clock.now += 0.3
    poses.add_transforms(transform("odom", "base_link", int(2.2 * SECOND), 2.2), static=False)
    ((item, pose),) = frames.ready()
    assert item == "late"
    assert pose[0, 3] == pytest.approx(102.6)
    assert not said


def test_a_frame_whose_pose_never_comes_leaves_at_its_deadline() -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=True)
    frames, clock, _ = queue(poses)
    frames.push("first", "camera", SECOND)
    assert len(frames.ready()) == 1
    frames.push("never", "camera", 9 * SECOND)
    clock.now += 0.49
    assert frames.ready() == []
    assert len(frames) == 1
    clock.now += 0.02
    assert frames.ready() == []
    assert frames.dropped == {"no pose": 1}


def test_without_any_pose_the_user_is_told_after_five_seconds() -> None:
    poses = LivePoses(Frames())
    poses.add_transforms(transform("base_link", "gripper", 0, 0.5), static=True)
    frames, clock, said = queue(poses)
    frames.push("frame", "camera", SECOND)
    clock.now += PATIENCE_S - 0.1
    assert frames.ready() == []
    assert not said
    clock.now += 0.2
    assert frames.ready() == []
    assert said == [
        "frames without a pose: no transform map -> camera after 5 s; frames seen: base_link, gripper"
    ]


@pytest.mark.parametrize(("timeout", "room"), [(0.1, 30), (10.0, 600)])
def test_the_queue_holds_what_may_wait_and_the_oldest_leaves(timeout: float, room: int) -> None:
    poses = tree(LivePoses(Frames(max_gap_s=2)), with_map=True)
    frames, _, said = queue(poses, timeout)
    frames.push("first", "camera", SECOND)
    assert len(frames.ready()) == 1
    for i in range(room + 2):
        frames.push(str(i), "camera", 9 * SECOND + i)
    assert len(frames) == room
    assert frames.dropped == {"waiting full": 2}
    assert set(said) == {f"more than {room} frames wait for their pose; the oldest are dropped"}
    frames.clear()
    assert len(frames) == 0
