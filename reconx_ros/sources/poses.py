"""Where the camera was at a stamp, from recorded transforms and odometry."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.transforms import Reason, TransformError, TransformTree

Array = NDArray[np.float64]

_MAY_HEAL = (Reason.TOO_LATE, Reason.UNKNOWN_FRAME, Reason.NOT_CONNECTED)


def stamp_ns(stamp: Any) -> int:  # noqa: ANN401  a time of ROS 1 or ROS 2
    """Return nanoseconds of a ``builtin_interfaces/Time``."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


class RecordedPoses:
    """Looks up world_from_camera; the world is the first that works and then stays the same.

    The worlds tried are the map frame and the odometry frame over TF, then the odometry topic with
    the static transforms from its child frame to the camera. Poses of two worlds are never mixed:
    once one has given a pose, frames it cannot place stay without a pose.

    Args:
        config: frame names and the widest gap.
        history_s: seconds of transforms to keep; bounds memory on long recordings.
    """

    def __init__(self, config: SourceConfig, history_s: float = math.inf) -> None:
        self._config = config
        self._tf = TransformTree(history_s)
        self._odometry = TransformTree(history_s)
        self._odometry_frame = ""
        self.world = ""

    @property
    def tree(self) -> TransformTree:
        """The transforms of TF."""
        return self._tf

    def add_transforms(self, message: Any, static: bool) -> None:  # noqa: ANN401
        """Add a ``tf2_msgs/TFMessage``."""
        for item in message.transforms:
            parent, child = item.header.frame_id, item.child_frame_id
            pose = _vector(item.transform.translation), _quaternion(item.transform.rotation)
            if static:
                self._tf.add_static(parent, child, *pose)
                self._odometry.add_static(parent, child, *pose)
            else:
                self._tf.add(parent, child, stamp_ns(item.header.stamp), *pose)

    def add_odometry(self, message: Any) -> None:  # noqa: ANN401
        """Add a ``nav_msgs/Odometry``: its pose is that of the child frame in the header's frame."""
        child = message.child_frame_id or self._config.base_frame
        pose = message.pose.pose
        self._odometry_frame = message.header.frame_id or self._config.odom_frame
        stamp = stamp_ns(message.header.stamp)
        self._odometry.add(
            self._odometry_frame, child, stamp, _vector(pose.position), _quaternion(pose.orientation)
        )

    def lookup(self, camera_frame: str, stamp: int, final: bool) -> Array | None:
        """Return world_from_camera [4, 4], or ``None`` where it may still come.

        Args:
            camera_frame: the camera's optical frame.
            stamp: nanoseconds.
            final: nothing more is to come: fall back, or raise.

        Raises:
            TransformError: there is no pose and there will be none.
        """
        try:
            return self._try(self.world or "map", camera_frame, stamp)
        except TransformError as err:
            if not final and err.reason in _MAY_HEAL:
                return None
            if self.world or err.reason in (Reason.TOO_EARLY, Reason.GAP, Reason.TOO_LATE):
                raise
            return self._fall_back(camera_frame, stamp, err)

    def _fall_back(self, camera_frame: str, stamp: int, first: TransformError) -> Array:
        """Return the pose in the first other world that knows the camera at all."""
        for world in ("odom", "odometry topic"):
            tree, frame = self._world(world)
            if tree.connected(frame, camera_frame):
                return self._try(world, camera_frame, stamp)
        raise first

    def _try(self, world: str, camera_frame: str, stamp: int) -> Array:
        tree, frame = self._world(world)
        world_from_camera = tree.lookup(frame, camera_frame, stamp, self._config.max_pose_gap)
        self.world = world
        return world_from_camera

    def _world(self, world: str) -> tuple[TransformTree, str]:
        return {
            "map": (self._tf, self._config.map_frame),
            "odom": (self._tf, self._config.odom_frame),
            "odometry topic": (self._odometry, self._odometry_frame),
        }[world]


def _vector(vector: Any) -> Array:  # noqa: ANN401
    return np.array([vector.x, vector.y, vector.z])


def _quaternion(quaternion: Any) -> Array:  # noqa: ANN401
    return np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w])
