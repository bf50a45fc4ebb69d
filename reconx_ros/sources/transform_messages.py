"""The messages of /tf, /tf_static and odometry as transform trees, recorded or live."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.frame_graph import bare
from reconx_ros.sources.transforms import Transforms, TransformTree

Array = NDArray[np.float64]


def stamp_ns(stamp: Any) -> int:  # noqa: ANN401  a time of ROS 1 or ROS 2
    """Return nanoseconds of a ``builtin_interfaces/Time``."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


class TransformMessages:
    """Two trees: TF, and odometry with the static transforms.

    Attributes:
        tf: of /tf and /tf_static.
        odometry: of the odometry topic and /tf_static.
        odometry_frame: root of ``odometry``; empty before its first message.
    """

    def __init__(
        self,
        odom_frame: str,
        base_frame: str,
        history_s: float = math.inf,
        make_tf: Callable[[float], Transforms] = TransformTree,
    ) -> None:
        """Create empty trees.

        Args:
            odom_frame: the frame of odometry messages that name none.
            base_frame: the child frame of odometry messages that name none.
            history_s: seconds of moving transforms to keep.
            make_tf: makes ``tf`` from ``history_s``.
        """
        self.tf: Transforms = make_tf(history_s)
        self.odometry = TransformTree(history_s)
        self.odometry_frame = ""
        self._odom_frame, self._base_frame = odom_frame, base_frame

    def add_transforms(self, message: Any, static: bool) -> str:  # noqa: ANN401
        """Add a ``tf2_msgs/TFMessage``; return a line about the first transform in it that is not used."""
        refused = ""
        for item in message.transforms:
            parent, child = item.header.frame_id, item.child_frame_id
            pose = _vector(item.transform.translation), _quaternion(item.transform.rotation)
            if static:
                why = self.tf.add_static(parent, child, *pose)
                lone = self.odometry.add_static(parent, child, *pose)
                why = why or (lone and f"{lone}, by odometry")
            else:
                why = self.tf.add(parent, child, stamp_ns(item.header.stamp), *pose)
            refused = refused or why
        return refused

    def add_odometry(self, message: Any) -> str:  # noqa: ANN401
        """Add a ``nav_msgs/Odometry``: the pose of its child frame in the frame of its header.

        Return a line where it is not used.
        """
        pose, child = message.pose.pose, message.child_frame_id or self._base_frame
        parent = message.header.frame_id or self._odom_frame
        place = _vector(pose.position), _quaternion(pose.orientation)
        refused = self.odometry.add(parent, child, stamp_ns(message.header.stamp), *place)
        if not refused:
            self.odometry_frame = bare(parent)
        return refused


def _vector(vector: Any) -> Array:  # noqa: ANN401
    return np.array([vector.x, vector.y, vector.z])


def _quaternion(quaternion: Any) -> Array:  # noqa: ANN401
    return np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w])
