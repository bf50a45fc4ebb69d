"""The message of RVizSplat, read back by another implementation of CDR, and by its own where installed."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from ros_helpers import Process, ros_arguments
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from reconx_ros.ros.rows import Rows, gaussian_rows
from reconx_ros.ros.rviz_splats import splat_array_bytes
from reconx_ros.splatting.gaussians import GaussianMap

STAMP = 1_600_000_000_123_456_789
SPLAT = """
geometry_msgs/PoseWithCovarianceStamped pose
uint8 opacity
uint8 harmonics_deg
float32[] spherical_harmonics
"""
HERE = importlib.util.find_spec("gsplat_msgs") is not None


@pytest.fixture(scope="module")
def read() -> Callable[[bytes], list[Any]]:
    """Read a ``SplatArray`` with rosbags."""
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(SPLAT, "gsplat_msgs/msg/Splat"))
    store.register(get_types_from_msg("gsplat_msgs/Splat[] splats", "gsplat_msgs/msg/SplatArray"))
    return lambda data: store.deserialize_cdr(data, "gsplat_msgs/msg/SplatArray").splats


def gaussians(count: int, degree: int) -> GaussianMap:
    rng = np.random.default_rng(count)
    return GaussianMap(
        means=rng.normal(size=(count, 3)).astype(np.float32),
        log_scales=rng.uniform(-5, -1, (count, 3)).astype(np.float32),
        quaternions_wxyz=rng.normal(size=(count, 4)).astype(np.float32),
        opacity_logits=rng.uniform(-5, 5, count).astype(np.float32),
        sh=rng.normal(size=(count, (degree + 1) ** 2, 3)).astype(np.float32),
        confidence=np.ones(count, np.float32),
        provenance=np.zeros(count, np.uint8),
    )


@given(st.integers(0, 5), st.integers(0, 3), st.text("abcdefgh/_", min_size=0, max_size=9))
@settings(max_examples=80, deadline=None)
def test_every_splat_is_read_back(
    read: Callable[[bytes], list[Any]], count: int, degree: int, frame: str
) -> None:
    made = gaussians(count, degree)
    splats = read(splat_array_bytes(gaussian_rows(made), frame, STAMP))
    assert len(splats) == count
    for index, splat in enumerate(splats):
        head, pose = splat.pose.header, splat.pose.pose.pose
        assert (head.frame_id, head.stamp.sec, head.stamp.nanosec) == (frame, *divmod(STAMP, 10**9))
        place = [pose.position.x, pose.position.y, pose.position.z]
        np.testing.assert_array_equal(place, made.means[index])
        quaternion = np.roll(made.quaternions_wxyz[index], -1)
        turn = Rotation.from_quat(quaternion).as_matrix()
        wanted = turn @ np.diag(np.exp(2.0 * made.log_scales[index])) @ turn.T
        covariance = np.reshape(splat.pose.pose.covariance, (6, 6))
        np.testing.assert_allclose(covariance[:3, :3], wanted, rtol=1e-4, atol=1e-8)
        assert not covariance[3:].any() and not covariance[:, 3:].any()
        q = pose.orientation
        unit = quaternion / np.linalg.norm(quaternion)
        np.testing.assert_allclose([q.x, q.y, q.z, q.w], unit, atol=1e-6)
        opacity = 255 / (1 + np.exp(-made.opacity_logits[index]))
        assert abs(splat.opacity - opacity) <= 0.51
        assert splat.harmonics_deg == degree
        np.testing.assert_array_equal(splat.spherical_harmonics, made.sh[index].reshape(-1))


@pytest.mark.parametrize("frame", ["map", "world", "robot/map"])
def test_the_pose_lies_where_rclpy_puts_it(frame: str) -> None:
    """The first splat begins 4 bytes into the message; so does this pose behind one more number."""
    rows = gaussian_rows(gaussians(1, 0))
    pose = PoseWithCovarianceStamped()
    pose.header.frame_id = frame
    pose.header.stamp.sec, pose.header.stamp.nanosec = divmod(STAMP, 10**9)
    pose.pose.pose.position.x = float(rows["x"][0])
    ours = splat_array_bytes(rows, frame, STAMP)
    theirs = serialize_message(pose)
    begin = 4 + 12 + len(frame) + 1
    assert ours[8 : 8 + begin - 4] == theirs[4:begin]  # stamp and frame
    at = -(-(4 + 12 + len(frame) + 1) // 8) * 8 + 4
    assert np.frombuffer(ours[at : at + 8])[0] == rows["x"][0]


@pytest.mark.skipif(not HERE, reason="gsplat_msgs (of RVizSplat) is not installed")
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_message_itself_reads_it_alike(
    read: Callable[[bytes], list[Any]], count: int, degree: int
) -> None:
    from gsplat_msgs.msg import SplatArray
    from rclpy.serialization import deserialize_message

    rows: Rows = gaussian_rows(gaussians(count, degree))
    ours = splat_array_bytes(rows, "map", STAMP)
    message = deserialize_message(ours, SplatArray)
    assert len(serialize_message(message)) == len(ours)  # what fills gaps is left to chance there
    for mine, theirs in zip(message.splats, read(ours), strict=True):
        assert mine.pose.header.frame_id == theirs.pose.header.frame_id == "map"
        np.testing.assert_array_equal(mine.pose.pose.covariance, theirs.pose.pose.covariance)
        np.testing.assert_array_equal(mine.spherical_harmonics, theirs.spherical_harmonics)
        assert (mine.opacity, mine.harmonics_deg) == (theirs.opacity, theirs.harmonics_deg)


@pytest.mark.skipif(HERE, reason="gsplat_msgs is installed")
def test_without_the_package_the_node_says_what_is_missing(
    launch: Callable[..., Process], tmp_path: Path
) -> None:
    node = launch("reconx_ros.ros.node", *ros_arguments([], output=tmp_path / "map", rviz_splats=True))
    assert node.popen.wait(60) == 2
    node.wait_for("the package gsplat_msgs, which comes with RVizSplat, is not installed")
    assert "Traceback" not in node.output
