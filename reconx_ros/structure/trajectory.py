"""The path along which the unseen parts are filmed: every pose is known exactly, for we choose it."""

from dataclasses import dataclass

from reconx_ros.camera import Camera


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Cameras to film, in order.

    Attributes:
        cameras: one per frame to generate.
        anchors: for each clip, the keyframe indices its first and last frame coincide with.
    """

    cameras: tuple[Camera, ...]
    anchors: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.cameras)
