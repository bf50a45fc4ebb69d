"""Where the camera was when an image was taken: from live TF or odometry, at the image's stamp."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.transform_messages import TransformMessages
from reconx_ros.sources.transforms import Reason, TransformError, TransformTree

Array = NDArray[np.float64]

PoseKind = Literal["auto", "tf", "odom"]

HISTORY_S = 30.0
"""Seconds of moving transforms kept; longer than any image waits."""

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
    """What gives camera poses to the node: the tree here, or tf2 behind the same three members."""

    world: str

    def pose(self, camera_frame: str, stamp: int, fall_back: bool) -> Array:
        """Return world_from_camera [4, 4] at ``stamp`` (ns) or raise ``TransformError``."""

    def extrinsic(self, target: str, source: str, stamp: int) -> Array:
        """Return target_from_source [4, 4] at ``stamp`` (ns) or raise ``TransformError``."""

    def clear(self) -> None:
        """Forget moving transforms (time jumped)."""


class LivePoses(TransformMessages):
    """Poses from the messages of /tf, /tf_static and odometry.

    The world is chosen once, by the first pose: the map frame; else, when falling back is allowed,
    the odometry frame over TF; else the frame of the odometry topic. Poses of two worlds never mix.

    Attributes:
        world: frame of the poses given; empty before the first.
    """

    def __init__(self, frames: Frames, kind: PoseKind = "auto") -> None:
        super().__init__(frames.odom_frame, frames.base_frame, HISTORY_S)
        self.world = ""
        self._frames, self._kind = frames, kind
        self._tree: TransformTree | None = None

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
        self, tree: TransformTree, world: str, camera: str, stamp: int, errors: list[TransformError]
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

    def clear(self) -> None:
        """Forget moving transforms (time jumped); static ones and the world stay."""
        self.tf.clear(keep_static=True)
        self.odometry.clear(keep_static=True)

    def _worlds(self, fall_back: bool) -> list[tuple[TransformTree, str]]:
        """Return the worlds to try, in order."""
        if self._tree is not None:
            return [(self._tree, self.world)]
        odometry = [(self.odometry, self.odometry_frame)] if self.odometry_frame else []
        if self._kind == "odom":
            return odometry
        spare = [(self.tf, self._frames.odom_frame)] + (odometry if self._kind == "auto" else [])
        return [(self.tf, self._frames.map_frame), *(spare if fall_back else [])]
