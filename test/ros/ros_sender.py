"""A node with a raw and a compressed camera, and who sends it good frames and others, for tests."""

import array
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import ros_frames as frames
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from reconx_msgs.msg import MapStatus
from ros_camera import transform
from ros_helpers import Process, listen, ros_arguments, spin_until
from ros_scene import SETTINGS
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from reconx_ros.ros.messages import header
from reconx_ros.ros.qos import latched, reliable
from reconx_ros.sources.rvl import encode_rvl

STRAIGHT = (0.0, 0.0, 0.0, 1.0)


DEPTH_HEADER = struct.pack("<iff", 0, 0.0, 0.0)
"""Of compressedDepth."""


KINDS: dict[str, tuple[type, str]] = {
    "image": (Image, "front/image"),
    "depth": (Image, "front/depth"),
    "info": (CameraInfo, "front/camera_info"),
    "depth info": (CameraInfo, "front/depth_camera_info"),
    "compressed": (CompressedImage, "rear/image/compressed"),
    "compressed depth": (CompressedImage, "rear/depth/compressedDepth"),
    "rear info": (CameraInfo, "rear/camera_info"),
    "tf": (TFMessage, "/tf"),
    "static": (TFMessage, "/tf_static"),
    "odom": (Odometry, "/odom"),
    "trajectory": (PathMessage, "/trajectory"),
}


class Sender:
    """A node with a raw and a compressed camera, and who publishes what it subscribes to.

    Attributes:
        y: where the cameras are, metres.
    """

    def __init__(self, folder: Path) -> None:
        (folder / "settings.yaml").write_text(SETTINGS)
        self.node = rclpy.create_node("sender")
        values: dict[str, object] = {
            "cameras": "front,rear",
            "output": folder / "map",
            "config_file": folder / "settings.yaml",
            "min_keyframes": 1,
            "status_rate": 5.0,
            "input_qos": "reliable",
            "rear.image_transport": "compressed",
            "rear.depth_transport": "compressed",
        }
        self.process = Process(["reconx_ros.ros.node", *ros_arguments([], **values)], folder / "node.log")
        self.statuses: list[MapStatus] = listen(self.node, MapStatus, "/reconx/status")
        self.points: list[PointCloud2] = listen(self.node, PointCloud2, "/reconx/points")
        self.publishers = {
            what: self.node.create_publisher(kind, topic, latched() if what == "static" else reliable(100))
            for what, (kind, topic) in KINDS.items()
        }
        self.y = 0.0

    def until(self, done: Callable[[], bool], timeout: float = 60.0) -> None:
        assert spin_until(self.node, done, timeout), self.process.output

    def ready(self) -> None:
        """Wait until the node listens, and tell where the cameras are mounted."""
        self.until(lambda: all(p.get_subscription_count() for p in self.publishers.values()), 60)
        self.until(lambda: bool(self.statuses) and self.statuses[-1].worker == "idle", 480)
        optical = transform("base_link", frames.CAMERA, 0, (0, 0, 0), (-0.5, 0.5, -0.5, 0.5))
        self.publishers["static"].publish(TFMessage(transforms=[optical]))
        self.frame(True)
        self.frame(False)

    def dropped(self, reason: str) -> int:
        status = self.statuses[-1]
        return dict(zip(status.drop_reasons, status.drop_counts, strict=True)).get(reason, 0)

    def send(self, **messages: Any) -> None:  # noqa: ANN401
        for what, message in messages.items():
            self.publishers[what.replace("_", " ")].publish(message)

    def frame(self, front: bool, **spoilt: Any) -> None:  # noqa: ANN401
        """Send a frame from further on, with some of its messages replaced; wait where none is."""
        before = len(self.points)
        self.y += 0.4
        stamp = time.time_ns()
        good: dict[str, Any] = (
            {"info": frames.camera_info(stamp), "depth": frames.depth(stamp), "image": frames.image(stamp)}
            if front
            else {
                "rear_info": frames.camera_info(stamp),
                "compressed_depth": compressed_depth(stamp),
                "compressed": frames.compressed(stamp),
            }
        )
        self.poses(stamp)
        made = {what: make(stamp) for what, make in spoilt.items()}
        self.send(**{**good, **made})
        if not spoilt:
            self.until(lambda: len(self.points) > before)

    def poses(self, stamp: int) -> None:
        """Tell where the robot is about a stamp."""
        for at in (stamp - 20_000_000, stamp + 20_000_000):
            chain = [
                transform("map", "odom", at, (0, 0, 0), STRAIGHT),
                transform("odom", "base_link", at, (0, self.y, 0), STRAIGHT),
            ]
            self.send(tf=TFMessage(transforms=chain))


def compressed_depth(stamp: int, body: bytes | None = None) -> CompressedImage:
    depth = (frames.depth_metres() * 1000).astype(np.uint16)
    data = DEPTH_HEADER + (encode_rvl(depth).tobytes() if body is None else body)
    made = CompressedImage(header=header(frames.CAMERA, stamp), format="16UC1; compressedDepth rvl")
    made.data = array.array("B", data)
    return made
