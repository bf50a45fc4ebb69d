"""The player: every message, as it was recorded, at its time."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from rclpy.node import Node
from ros_helpers import Process, spin_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage

from reconx_ros.ros.qos import latched, reliable
from reconx_ros.sources.recording import open_recording

PLAYER = "reconx_ros.ros.player"


def test_what_arrives_is_what_was_recorded(
    ros: Node, launch: Callable[..., Process], redkitchen_bag: Path
) -> None:
    infos: list[CameraInfo] = []
    images: list[bytes] = []
    clocks: list[int] = []
    topic = "/camera/color/image_raw/compressed"
    ros.create_subscription(CameraInfo, "/moved/camera_info", infos.append, reliable(100))
    ros.create_subscription(CompressedImage, topic, images.append, reliable(100), raw=True)
    ros.create_subscription(Clock, "/clock", lambda m: clocks.append(m.clock.sec), reliable(100))
    player = launch(
        PLAYER, str(redkitchen_bag), "--rate", "6", "--clock", "--wait-for-subscribers", "2",
        "--ros-args", "-r", "/camera/color/camera_info:=/moved/camera_info",
    )  # fmt: skip
    assert spin_until(ros, lambda: len(images) >= 10, 40), player.output
    statics: list[TFMessage] = []  # joins late, and is told all the same
    ros.create_subscription(TFMessage, "/tf_static", statics.append, latched(100))
    assert spin_until(ros, lambda: player.popen.poll() is not None, 30)
    assert len(statics) == 1
    spin_until(ros, lambda: len(images) == 80)
    assert (len(infos), len(images)) == (80, 80)
    assert clocks == sorted(clocks)
    assert clocks[0] == 1_600_000_000
    assert clocks[-1] == 1_600_000_013
    recording = open_recording(redkitchen_bag)
    recorded = [m.data for m in recording.messages({topic})]
    recording.close()
    # The middleware pads messages to four bytes.
    assert [i[: len(r)] for i, r in zip(images, recorded, strict=True)] == recorded
    player.wait_for("481 messages: done")


def test_what_is_no_recording_is_one_line(launch: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "empty.mcap").write_bytes(b"")
    player = launch(PLAYER, str(tmp_path / "empty.mcap"))
    assert player.popen.wait(60) == 2
    player.wait_for("empty.mcap")
    assert "Traceback" not in player.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_at_once_and_quietly(
    ros: Node, launch: Callable[..., Process], small_bag: Path, number: signal.Signals
) -> None:
    player = launch(PLAYER, str(small_bag), "--rate", "0.01", "--clock")
    assert spin_until(ros, lambda: ros.count_publishers("/clock") == 1), player.output
    player.popen.send_signal(number)
    assert player.popen.wait(60) == 0
    player.wait_for("stopped")
    assert "Traceback" not in player.output
