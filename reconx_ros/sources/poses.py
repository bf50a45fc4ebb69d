"""Where the camera was at a stamp, from recorded transforms and odometry."""

import math

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.frame_graph import Reason, TransformError
from reconx_ros.sources.transform_messages import TransformMessages
from reconx_ros.sources.transforms import Transforms

Array = NDArray[np.float64]

_MAY_HEAL = (Reason.TOO_LATE, Reason.UNKNOWN_FRAME, Reason.NOT_CONNECTED)


class RecordedPoses(TransformMessages):
    """Looks up world_from_camera; the world is the first that works and then stays the same.

    The worlds tried are the map frame and the odometry frame over TF, then the odometry topic with
    the static transforms from its child frame to the camera. Poses of two worlds are never mixed:
    once one has given a pose, frames it cannot place stay without a pose.

    Args:
        config: frame names and the widest gap.
        history_s: seconds of transforms to keep; bounds memory on long recordings.
    """

    def __init__(self, config: SourceConfig, history_s: float = math.inf) -> None:
        super().__init__(config.odom_frame, config.base_frame, history_s)
        self._config = config
        self.world = ""

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

    def places(self, camera_frame: str) -> bool:
        """Return whether one of the worlds is connected with the camera by what was added so far."""
        worlds = (self._world(world) for world in ("map", "odom", "odometry topic"))
        return any(tree.connected(frame, camera_frame) for tree, frame in worlds)

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

    def _world(self, world: str) -> tuple[Transforms, str]:
        return {
            "map": (self.tf, self._config.map_frame),
            "odom": (self.tf, self._config.odom_frame),
            "odometry topic": (self.odometry, self.odometry_frame),
        }[world]
