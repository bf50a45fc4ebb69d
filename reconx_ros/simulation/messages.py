"""ROS 2 messages of an RGB-D robot, built with the types of a ``rosbags`` type store."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from pytransform3d.rotations import quaternion_from_matrix
from rosbags.typesys.store import Typestore

from reconx_ros.camera import Camera

Array = NDArray[np.float64]
# The classes of a type store are made at run time.
Message: TypeAlias = Any


class Messages:
    """Makes messages; stamps are nanoseconds, poses [4, 4] parent from child."""

    def __init__(self, typestore: Typestore) -> None:
        self.typestore = typestore
        self._types = typestore.types

    def _make(self, name: str, *values: Message) -> Message:
        return self._types[name](*values)

    def header(self, stamp_ns: int, frame: str) -> Message:
        """Return a std_msgs/Header."""
        stamp = self._make("builtin_interfaces/msg/Time", stamp_ns // 10**9, stamp_ns % 10**9)
        return self._make("std_msgs/msg/Header", stamp, frame)

    def _quaternion(self, pose: Array) -> Message:
        w, x, y, z = (float(value) for value in quaternion_from_matrix(pose[:3, :3]))
        return self._make("geometry_msgs/msg/Quaternion", x, y, z, w)

    def transforms(self, stamp_ns: int, links: Iterable[tuple[str, str, Array]]) -> Message:
        """Return a tf2_msgs/TFMessage of (parent, child, parent_from_child) links."""
        stamped = []
        for parent, child, pose in links:
            shift = self._make("geometry_msgs/msg/Vector3", *(float(value) for value in pose[:3, 3]))
            transform = self._make("geometry_msgs/msg/Transform", shift, self._quaternion(pose))
            header = self.header(stamp_ns, parent)
            stamped.append(self._make("geometry_msgs/msg/TransformStamped", header, child, transform))
        return self._make("tf2_msgs/msg/TFMessage", stamped)

    def odometry(self, stamp_ns: int, parent: str, child: str, pose: Array) -> Message:
        """Return a nav_msgs/Odometry with 1 cm and 0.2 degrees of standard deviation, at rest."""
        point = self._make("geometry_msgs/msg/Point", *(float(value) for value in pose[:3, 3]))
        placed = self._make("geometry_msgs/msg/Pose", point, self._quaternion(pose))
        covariance = np.diag([1e-4] * 3 + [1e-5] * 3).ravel()
        with_covariance = self._make("geometry_msgs/msg/PoseWithCovariance", placed, covariance)
        zero = self._make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
        twist = self._make("geometry_msgs/msg/Twist", zero, zero)
        still = self._make("geometry_msgs/msg/TwistWithCovariance", twist, np.zeros(36))
        return self._make(
            "nav_msgs/msg/Odometry", self.header(stamp_ns, parent), child, with_covariance, still
        )

    def camera_info(self, stamp_ns: int, frame: str, camera: Camera) -> Message:
        """Return a sensor_msgs/CameraInfo without distortion."""
        k = np.asarray(camera.intrinsics, dtype=np.float64)
        return self._make(
            "sensor_msgs/msg/CameraInfo",
            self.header(stamp_ns, frame),
            camera.height,
            camera.width,
            "plumb_bob",
            np.zeros(5),
            k.ravel(),
            np.eye(3).ravel(),
            np.hstack([k, np.zeros((3, 1))]).ravel(),
            0,
            0,
            self._make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False),
        )

    def image(self, stamp_ns: int, frame: str, pixels: NDArray[Any], encoding: str) -> Message:
        """Return a sensor_msgs/Image of little-endian ``pixels`` [H, W] or [H, W, C]."""
        height, width = pixels.shape[:2]
        data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
        step = data.size // height
        header = self.header(stamp_ns, frame)
        return self._make("sensor_msgs/msg/Image", header, height, width, encoding, 0, step, data)

    def compressed(self, stamp_ns: int, frame: str, pixels: NDArray[np.uint8], quality: int) -> Message:
        """Return a sensor_msgs/CompressedImage: JPEG of ``pixels`` [H, W, 3] RGB."""
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        # Full chroma resolution: the pictures are the truth that maps are compared with.
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])
        header = self.header(stamp_ns, frame)
        return self._make(
            "sensor_msgs/msg/CompressedImage", header, "rgb8; jpeg compressed bgr8", data.ravel()
        )
