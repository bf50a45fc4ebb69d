"""Where the camera was when an image was taken: from live TF or odometry, at the image's stamp."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.ros.pose_covariance import known_covariance
from reconx_ros.ros.tf2_transforms import live_transforms
from reconx_ros.sources.frame_graph import Reason, TransformError
from reconx_ros.sources.transform_messages import TransformMessages, stamp_ns
from reconx_ros.sources.transforms import Transforms

Array = NDArray[np.float64]

PoseKind = Literal["auto", "tf", "odom"]

HISTORY_S = 30.0
"""Seconds of moving transforms kept; longer than any image waits."""

COVARIANCES = 200
"""Covariances of odometry kept: a few seconds of them."""

_UNREACHED = (Reason.UNKNOWN_FRAME, Reason.NOT_CONNECTED)


@dataclass(frozen=True)
class Frames:
    """Names of frames, and between which poses is interpolated.

    Attributes:
        map_frame: the world.
        odom_frame: the world where TF never joins the map frame to the camera.
        base_frame: the child of odometry messages that do not name it.
        max_gap_s: seconds between two poses over which is still interpolated.
    """

    map_frame: str = "map"
    odom_frame: str = "odom"
    base_frame: str = "base_link"
    max_gap_s: float = 0.5


class PoseSource(Protocol):
    """What gives camera poses to the node."""

    world: str

    def pose(self, camera_frame: str, stamp: int, fall_back: bool) -> Array:
        """Return world_from_camera [4, 4] at ``stamp`` (ns) or raise ``TransformError``."""

    def extrinsic(self, target: str, source: str, stamp: int) -> Array:
        """Return target_from_source [4, 4] at ``stamp`` (ns) or raise ``TransformError``."""

    def odom_in_world(self, stamp: int | None) -> Array | None:
        """Return world_from_odom [4, 4] at ``stamp`` (the newest if ``None``); ``None`` without one."""

    def base_from_camera(self, camera_frame: str, stamp: int) -> Array | None:
        """Return base_from_camera [4, 4] at ``stamp``, ``None`` where it is not known."""

    def covariance(self, stamp: int) -> Array | None:
        """Return that of odometry about ``stamp``, [6, 6] of the base; ``None`` where nobody gives one."""

    def clear(self) -> None:
        """Forget moving transforms (time jumped)."""


class LivePoses(TransformMessages):
    """Poses from the messages of /tf, /tf_static and odometry.

    The world is chosen once, by the first pose: the map frame; else, when falling back is allowed,
    the odometry frame over TF; else the frame of the odometry topic. Poses of two worlds never mix.

    Args:
        frames: their names.
        kind: which poses to use.
        make_tf: makes the buffer of TF from seconds of history.

    Attributes:
        world: frame of the poses given; empty before the first.
    """

    def __init__(
        self,
        frames: Frames,
        kind: PoseKind = "auto",
        make_tf: Callable[[float], Transforms] = live_transforms,
    ) -> None:
        super().__init__(frames.odom_frame, frames.base_frame, HISTORY_S, make_tf)
        self.world = ""
        self._frames, self._kind = frames, kind
        self._tree: Transforms | None = None
        self._covariances_lock = threading.Lock()  # added by the executor, asked for by other threads
        self._covariances: deque[tuple[int, Array]] = deque(maxlen=COVARIANCES)

    @property
    def seen(self) -> tuple[str, ...]:
        """Every frame seen, sorted."""
        return tuple(sorted({*self.tf.frames, *self.odometry.frames}))

    def pose(self, camera_frame: str, stamp: int, fall_back: bool) -> Array:
        """Return world_from_camera [4, 4] at ``stamp``.

        Args:
            camera_frame: the optical frame.
            stamp: nanoseconds.
            fall_back: whether a world other than the preferred one may be chosen now.

        Raises:
            TransformError: not (yet) known; of several worlds tried, the error of the first.
        """
        errors: list[TransformError] = []
        for tree, frame in self._worlds(fall_back):
            pose = self._try(tree, frame, camera_frame, stamp, errors)
            if pose is not None:
                self.world, self._tree = frame, tree
                return pose
        raise errors[0] if errors else TransformError(Reason.UNKNOWN_FRAME, "no odometry has come")

    def _try(
        self, tree: Transforms, world: str, camera: str, stamp: int, errors: list[TransformError]
    ) -> Array | None:
        """Return the pose in one world; note why where the frames are not joined at all."""
        try:
            return tree.lookup(world, camera, stamp, self._frames.max_gap_s)
        except TransformError as err:
            if err.reason not in _UNREACHED:
                raise
            errors.append(err)
            return None

    def extrinsic(self, target: str, source: str, stamp: int) -> Array:
        """Return target_from_source [4, 4] over TF at ``stamp``."""
        return self.tf.lookup(target, source, stamp, self._frames.max_gap_s)

    def odom_in_world(self, stamp: int | None) -> Array | None:
        """Return world_from_odom [4, 4] at ``stamp``, or the newest; ``None`` where there is none."""
        odom = self._frames.odom_frame
        if self._tree is not self.tf or self.world in ("", odom):
            return None
        try:
            return _newest(self.tf, self.world, odom, stamp)
        except TransformError:
            return None

    def newest(self, frame: str) -> Array:
        """Return world_from_frame [4, 4] as it is known last; before the first pose the world is the map.

        Raises:
            TransformError: the frame is not joined to the world.
        """
        return _newest(self._tree or self.tf, self.world or self._frames.map_frame, frame)

    def base_from_camera(self, camera_frame: str, stamp: int) -> Array | None:
        """Return base_from_camera [4, 4] at ``stamp``, ``None`` where it is not known."""
        try:
            return self.tf.lookup(self._frames.base_frame, camera_frame, stamp)
        except TransformError:
            return None

    def add_odometry(self, message: Any) -> str:  # noqa: ANN401
        """Add a ``nav_msgs/Odometry`` and keep its covariance; return a line where it is not used."""
        if refused := super().add_odometry(message):
            return refused
        values = known_covariance(message.pose.covariance)
        if values is not None:
            with self._covariances_lock:
                self._covariances.append((stamp_ns(message.header.stamp), values))
        return ""

    def covariance(self, stamp: int) -> Array | None:
        """Return the [6, 6] covariance of the odometry nearest to ``stamp``, within ``max_gap_s``."""
        with self._covariances_lock:
            known = tuple(self._covariances)
        at, values = min(known, key=lambda one: abs(one[0] - stamp), default=(0, None))
        return values if abs(at - stamp) <= self._frames.max_gap_s * 1e9 else None

    def clear(self) -> None:
        """Forget moving transforms (time jumped); static ones and the world stay."""
        self.tf.clear(keep_static=True)
        self.odometry.clear(keep_static=True)
        with self._covariances_lock:
            self._covariances.clear()

    def _worlds(self, fall_back: bool) -> list[tuple[Transforms, str]]:
        """Return the worlds to try, in order."""
        if self._tree is not None:
            return [(self._tree, self.world)]
        odometry: list[tuple[Transforms, str]] = []
        if self.odometry_frame:
            odometry.append((self.odometry, self.odometry_frame))
        if self._kind == "odom":
            return odometry
        spare = [(self.tf, self._frames.odom_frame)] + (odometry if self._kind == "auto" else [])
        return [(self.tf, self._frames.map_frame), *(spare if fall_back else [])]


def _newest(tree: Transforms, target: str, source: str, latest: int | None = None) -> Array:
    """Return target_from_source [4, 4] as it is known last, or at ``latest`` (ns) where that is earlier."""
    known = tree.newest(target, source)
    stamps = [stamp for stamp in (known, latest) if stamp is not None]
    return tree.lookup(target, source, min(stamps, default=0))  # at any stamp, where nothing moves
