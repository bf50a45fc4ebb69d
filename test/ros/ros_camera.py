"""A camera of ours that drives along a wall: publishes colour, depth, calibration and TF in real time."""

import time

import numpy as np
import ros_frames as frames
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from ros_helpers import spin_until
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from reconx_ros.ros.messages import time_message
from reconx_ros.ros.qos import latched, reliable

OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion xyzw of base_from_camera: the camera looks along x of the base."""


def transform(
    parent: str, child: str, stamp: int, place: tuple[float, ...], turn: tuple[float, ...]
) -> TransformStamped:
    item = TransformStamped(child_frame_id=child)
    item.header.frame_id, item.header.stamp = parent, time_message(stamp)
    t, q = item.transform.translation, item.transform.rotation
    t.x, t.y, t.z = (float(v) for v in place)
    q.x, q.y, q.z, q.w = (float(v) for v in turn)
    return item


class DrivingCamera:
    """Drives along y and looks along x at a wall 2 m away, which has a box before it.

    Attributes:
        map_from_odom: translation, changed by whoever plays localisation.
    """

    def __init__(self, node: Node, name: str = "") -> None:
        self._node = node
        self.map_from_odom = (0.0, 0.0, 0.0)
        self._colour = node.create_publisher(Image, f"{name}/image", reliable())
        self._depth = node.create_publisher(Image, f"{name}/depth", reliable())
        self._info = node.create_publisher(CameraInfo, f"{name}/camera_info", reliable())
        self._tf = node.create_publisher(TFMessage, "/tf", reliable(100))
        self._static = node.create_publisher(TFMessage, "/tf_static", latched())
        optical = transform("base_link", frames.CAMERA, 0, (0, 0, 0), OPTICAL)
        self._static.publish(TFMessage(transforms=[optical]))

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until somebody listens to everything."""
        publishers = (self._colour, self._depth, self._info, self._tf, self._static)
        return spin_until(self._node, lambda: all(p.get_subscription_count() for p in publishers), timeout)

    def tell_pose(self, y: float, stamp: int | None = None) -> None:
        """Publish map -> odom -> base_link."""
        stamp = time.time_ns() if stamp is None else stamp
        straight = (0.0, 0.0, 0.0, 1.0)
        poses = [
            transform("map", "odom", stamp, self.map_from_odom, straight),
            transform("odom", "base_link", stamp, (0.0, y, 0.0), straight),
        ]
        self._tf.publish(TFMessage(transforms=poses))

    def shoot(self, y: float, seed: int, stamp: int | None = None) -> None:
        """Publish a frame from ``y`` metres along the way, and where that is."""
        stamp = time.time_ns() if stamp is None else stamp
        self.tell_pose(y, stamp - 20_000_000)
        self.tell_pose(y, stamp + 20_000_000)
        self.publish(stamp, seed)

    def publish(self, stamp: int, seed: int) -> None:
        """Publish a frame alone."""
        self._info.publish(frames.camera_info(stamp))
        self._depth.publish(frames.depth(stamp))
        self._colour.publish(frames.image(stamp, seed=seed))


def wall_x(rows: np.ndarray) -> float:
    """The distance of the wall along x of the map."""
    return float(np.percentile(rows["x"], 90))
