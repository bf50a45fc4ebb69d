"""Messages of every kind the node takes that hold nonsense, sent to a real node, which outlives them."""

import array
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import ros_frames as frames
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.serialization import serialize_message
from reconx_msgs.msg import MapStatus
from ros_camera import transform
from ros_helpers import ROOT, Process, listen, ros_arguments, spin_until
from ros_sender import KINDS, STRAIGHT, Sender, compressed_depth
from sensor_msgs.msg import CompressedImage
from tf2_msgs.msg import TFMessage

from reconx_ros.camera import Camera
from reconx_ros.ros.messages import header, path_message
from reconx_ros.ros.qos import reliable

NAN = float("nan")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@pytest.fixture(scope="module")
def sender(context: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    made = Sender(tmp_path_factory.mktemp("malformed"))
    try:
        made.ready()
        yield made
    finally:
        made.process.popen.kill()
        made.process.popen.wait()
        made.node.destroy_node()


def changed(make: Callable[[int], Any], **fields: Any) -> Callable[[int], Any]:  # noqa: ANN401
    """A good message with some fields set."""

    def spoil(stamp: int) -> Any:  # noqa: ANN401
        message = make(stamp)
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    return spoil


def cut(make: Callable[[int], Any], keep: int) -> Callable[[int], bytes]:
    """The first bytes of a good message as it goes over the wire."""
    return lambda stamp: bytes(serialize_message(make(stamp)))[:keep]


def data(count: int) -> array.array:
    return array.array("B", bytes(count))


def of(depth: bytes) -> Callable[[int], CompressedImage]:
    return lambda stamp: compressed_depth(stamp, depth)


def size(columns: int, rows: int) -> bytes:
    return struct.pack("<ii", columns, rows)


def backwards() -> bytes:
    """An RVL stream whose second number, the count of depths, has so many digits that it is below 0."""
    nibbles = [0] + [8] * 20 + [15, 7, 0]
    octets = bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))
    return b"".join(octets[at : at + 4][::-1] for at in range(0, len(octets), 4))


FRAMES = {
    "image of an unknown encoding": (True, {"image": changed(frames.image, encoding="jp2")}, "'jp2'"),
    "image of no encoding": (True, {"image": changed(frames.image, encoding="")}, "encoding ''"),
    "image cut": (True, {"image": changed(frames.image, data=data(10))}, "has 10"),
    "image without data": (True, {"image": changed(frames.image, data=data(0))}, "has 0"),
    "image of no size": (True, {"image": changed(frames.image, width=0, height=0)}, "0 x 0"),
    "image of no step": (True, {"image": changed(frames.image, step=0)}, "step is 0 bytes"),
    "image of 16 exabytes": (
        True,
        {"image": changed(frames.image, width=2**32 - 1, height=2**32 - 1, step=2**32 - 1)},
        "step is 4294967295",
    ),
    "image cut on the wire": (True, {"image": cut(frames.image, 2000)}, "2000 bytes"),
    "depth of colours": (True, {"depth": frames.image}, "depth encoding 'rgb8'"),
    "depth cut": (True, {"depth": changed(frames.depth, data=data(9))}, "has 9"),
    "depth of no size": (True, {"depth": changed(frames.depth, width=0, height=0)}, "0 x 0"),
    "calibration of no numbers": (True, {"info": changed(frames.camera_info, k=[NAN] * 9)}, "K = [nan"),
    "calibration of no size": (
        True,
        {"info": changed(frames.camera_info, width=3, height=3)},
        "camera_info says 3 x 3",
    ),
    "calibration of a distortion without numbers": (
        True,
        {"info": changed(frames.camera_info, d=[NAN] * 5, distortion_model="plumb_bob")},
        "finite coefficients, not [nan",
    ),
    "calibration of three coefficients": (
        True,
        {"info": changed(frames.camera_info, d=[0.1] * 3, distortion_model="plumb_bob")},
        "coefficients, not [0.1, 0.1, 0.1]",
    ),
    "calibration cut on the wire": (True, {"info": cut(frames.camera_info, 100)}, "100 bytes"),
    "compressed garbage": (False, {"compressed": changed(frames.compressed, data=data(99))}, "of 99 bytes"),
    "compressed nothing": (False, {"compressed": changed(frames.compressed, data=data(0))}, "of 0 bytes"),
    "compressed cut on the wire": (False, {"compressed": cut(frames.compressed, 90)}, "90 bytes"),
    "compressed depth of an unknown format": (
        False,
        {"compressed_depth": changed(compressed_depth, format="8UC1; compressedDepth png")},
        "'8UC1; compressedDepth png'",
    ),
    "compressed depth of garbage": (
        False,
        {"compressed_depth": changed(compressed_depth, data=data(99), format="16UC1; compressedDepth png")},
        "of 87 bytes",
    ),
    "compressed depth without a header": (
        False,
        {"compressed_depth": changed(compressed_depth, data=data(5))},
        "has 5 bytes",
    ),
    "compressed depth that ends": (False, {"compressed_depth": of(size(160, 120))}, "after 0 of 19200"),
    "compressed depth of any size": (False, {"compressed_depth": of(size(-1, 2))}, "of -1 x 2"),
    "compressed depth that runs backwards": (
        False,
        {"compressed_depth": of(size(160, 120) + backwards())},
        "breaks after 0 of",
    ),
}


def said(sender: Sender, value: str, where: str) -> bool:
    """Whether a line names a place and a value, or other numbers: the same trouble is said now and then."""
    wanted = NUMBER.sub("#", value)
    lines = sender.process.output.splitlines()
    return any(where in line and wanted in NUMBER.sub("#", line) for line in lines)


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_of_nonsense_is_dropped_counted_and_named(sender: Sender, case: str) -> None:
    front, spoilt, value = FRAMES[case]
    before = sender.dropped("unusable")
    sender.frame(front, **spoilt)
    sender.until(lambda: sender.dropped("unusable") > before)
    topic = ("/front/" if front else "/rear/") + ("depth" if "depth" in next(iter(spoilt)) else "image")
    sender.until(lambda: said(sender, value, topic))
    sender.frame(front)


def motion(
    parent: str = "odom",
    child: str = "base_link",
    place: tuple[float, ...] = (0, 0, 0),
    turn: tuple[float, ...] = STRAIGHT,
) -> Callable[[int], TFMessage]:
    return lambda stamp: TFMessage(transforms=[transform(parent, child, stamp, place, turn)])


def odometry(stamp: int, w: float = NAN, x: float = 0.0) -> Odometry:
    message = Odometry(header=header("odom", stamp), child_frame_id="base_link")
    message.pose.pose.orientation.w, message.pose.pose.position.x = w, x
    return message


def trajectory(stamp: int) -> PathMessage:
    message = path_message("map", [(stamp, camera()), (stamp + 1, camera())])
    message.poses[1].pose.position.x = NAN
    return message


def elsewhere(stamp: int) -> PathMessage:
    return path_message("odom", [(stamp, camera())])


def camera() -> Camera:
    return Camera(np.diag([100.0, 100.0, 1.0]), np.eye(4), 64, 48)


BARE = {
    "image cut within its header": ("image", cut(frames.image, 14), "14 bytes"),
    "image of four bytes": ("image", cut(frames.image, 4), "4 bytes is too short"),
    "depth cut within its header": ("depth", cut(frames.depth, 14), "14 bytes"),
    "calibration cut within its header": ("info", cut(frames.camera_info, 14), "14 bytes"),
    "compressed cut within its header": ("compressed", cut(frames.compressed, 14), "14 bytes"),
    "rotation of no length": (
        "tf",
        motion(turn=(0, 0, 0, 0)),
        "[0, 0, 0] and rotation [0, 0, 0, 0]",
    ),
    "rotation of no numbers": ("tf", motion(turn=(NAN, 0, 0, 1)), "rotation [nan, 0, 0, 1]"),
    "rotation beyond all numbers": ("tf", motion(turn=(1e300, 0, 0, 1e300)), "[1e+300, 0, 0, 1e+300]"),
    "place of no numbers": ("tf", motion(place=(NAN, 1, 2)), "translation [nan, 1, 2]"),
    "transform to nothing": ("tf", motion(child=""), "odom -> ''"),
    "place beyond the Earth": (
        "tf",
        motion(place=(0, 1e12, 0)),
        "translation [0, 1e+12, 0] goes beyond 1e+08 m",
    ),
    "static place beyond the Earth": (
        "static",
        motion("base_link", frames.CAMERA, place=(1e12, 0, 0)),
        f"base_link -> {frames.CAMERA}: translation [1e+12, 0, 0] goes",
    ),
    "map below the robot": (
        "tf",
        motion("base_link", "map"),
        "base_link -> map closes a loop: map -> odom -> base_link is there already",
    ),
    "loop of two frames": (
        "tf",
        motion("base_link", "odom", place=(3, 0, 0)),
        "base_link -> odom closes a loop: odom -> base_link is",
    ),
    "robot fixed to its camera": (
        "static",
        motion(frames.CAMERA, "base_link"),
        f"{frames.CAMERA} -> base_link closes a loop: base_link -> {frames.CAMERA} is",
    ),
    "transform to itself": ("tf", motion(child="odom"), "odom -> odom"),
    "transform cut on the wire": ("tf", cut(motion(), 60), "60 bytes"),
    "transforms without end": ("tf", lambda _: b"\x00\x01\x00\x00\xff\xff\xff\xff", "8 bytes"),
    "static rotation of no numbers": (
        "static",
        motion("base_link", "arm", turn=(NAN,) * 4),
        "base_link -> arm: translation [0, 0, 0] and rotation [nan, nan, nan, nan]",
    ),
    "odometry of no numbers": ("odom", odometry, "rotation [0, 0, 0, nan]"),
    "odometry beyond the Earth": (
        "odom",
        lambda stamp: odometry(stamp, 1, -1e12),
        "translation [-1e+12, 0, 0]",
    ),
    "odometry cut on the wire": ("odom", cut(odometry, 99), "99 bytes"),
    "path of no numbers": ("trajectory", trajectory, "1 of 2 poses are none; number 1: [nan, 0, 0, "),
    "path in another frame": (
        "trajectory",
        elsewhere,
        "the path is in frame 'odom', the map in 'map': it moves nothing",
    ),
    "path cut on the wire": ("trajectory", cut(trajectory, 99), "99 bytes"),
}


@pytest.mark.parametrize("case", BARE)
def test_a_message_of_nonsense_is_dropped_counted_and_named(sender: Sender, case: str) -> None:
    what, make, value = BARE[case]
    before = sender.dropped("bad_message")
    sender.send(**{what: make(time.time_ns())})
    sender.until(lambda: sender.dropped("bad_message") == before + 1)
    start = f"message on /{KINDS[what][1].lstrip('/')} cannot be used: "
    sender.until(lambda: said(sender, value, start))
    sender.frame(True)


def test_after_all_that_nothing_was_a_defect(sender: Sender) -> None:
    sender.frame(True)
    sender.frame(False)
    assert sender.dropped("defect") == 0
    assert "Traceback" not in sender.process.output
    assert sender.process.interrupt() == 0, sender.process.output


def test_a_defect_in_a_callback_is_a_traceback_and_the_node_lives(context: None, tmp_path: Path) -> None:
    """A node whose odometry has a fault of ours."""
    (tmp_path / "faulty.py").write_text(
        "import sys\n"
        "from reconx_ros.ros import node\n"
        "from reconx_ros.ros.pose_source import LivePoses\n"
        "LivePoses.add_odometry = lambda self, message: 1 / 0\n"
        "sys.exit(node.main())\n"
    )
    arguments = ros_arguments([], output=tmp_path / "map", status_rate=5.0)
    paths = f"{tmp_path}{os.pathsep}{ROOT}"
    process = Process(["faulty", *arguments], tmp_path / "node.log", PYTHONPATH=paths)
    node = rclpy.create_node("faulty_test")
    statuses = listen(node, MapStatus, "/reconx/status")
    publisher = node.create_publisher(Odometry, "/odom", reliable())
    try:
        assert spin_until(node, lambda: bool(statuses) and publisher.get_subscription_count() > 0)

        def defects() -> int:
            status = statuses[-1]
            return dict(zip(status.drop_reasons, status.drop_counts, strict=True)).get("defect", 0)

        for _ in range(40):  # best effort: the first may be lost
            publisher.publish(odometry(0, 1.0))
            if spin_until(node, lambda: defects() > 1, 0.5):
                break
        assert defects() > 1, process.output
        assert process.output.count("Traceback") == 1  # and then now and then
        process.wait_for("message on /odom dropped: ZeroDivisionError: division by zero")
        assert process.interrupt() == 0, process.output
    finally:
        if process.popen.poll() is None:
            process.popen.kill()
        node.destroy_node()
