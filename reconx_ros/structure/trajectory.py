"""The path along which the unseen parts are filmed: every pose is known exactly, for we choose it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Anchors = tuple[int | None, int | None]
Kind = Literal["interpolated", "extrapolated", "window"]


@dataclass(frozen=True, eq=False)
class Clip:
    """Consecutive frames of a trajectory that belong together: one take of the camera.

    Attributes:
        kind: ``interpolated`` from keyframe to keyframe, ``extrapolated`` away from one, or a turn on the
            spot (``window``).
        start: number of its first frame in the trajectory.
        stop: one past its last. Clips that meet at a keyframe share that frame.
        anchors: index of the keyframe whose camera its first and its last frame are, exactly; ``None``
            for an end that no keyframe took.
        hopes: [stop − start, h, w] float32 in [0, 1] on a coarse raster of each frame: how plausibly a
            pixel can be filled that no input saw; 0 where an input saw it or nothing near it is known.
        unseen: [stop − start] share of each frame's pixels in which the cloud shows nothing.
    """

    kind: Kind
    start: int
    stop: int
    anchors: Anchors
    hopes: NDArray[np.float32]
    unseen: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.stop - self.start

    @property
    def hoped(self) -> NDArray[np.float32]:
        """[stop − start] share of each frame's pixels that it hopes to learn."""
        return np.asarray((self.hopes > 0).mean(axis=(1, 2)), np.float32)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Cameras to film, in order.

    Attributes:
        cameras: one per frame to generate.
        clips: which of them belong together, in order, and what each hopes to learn.
        notes: what was left out or bent, and why, one line each.
    """

    cameras: tuple[Camera, ...]
    clips: tuple[Clip, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.cameras)

    @property
    def taken(self) -> frozenset[int]:
        """Numbers of the frames whose camera is a keyframe's: their picture is known."""
        ends = ((clip.start, clip.stop - 1) for clip in self.clips)
        pairs = zip(self.anchors, ends, strict=True)
        return frozenset(
            at for pair in pairs for anchor, at in zip(*pair, strict=True) if anchor is not None
        )

    @property
    def anchors(self) -> tuple[Anchors, ...]:
        """For each clip, the keyframes its first and last frame coincide with."""
        return tuple(clip.anchors for clip in self.clips)

    def json(self) -> dict[str, Any]:
        """Return what was planned, for a report: each clip's kind, ends and hopes, and the notes."""
        clips = [
            {
                "kind": clip.kind,
                "frames": len(clip),
                "anchors": list(clip.anchors),
                "hoped": round(float(clip.hoped.mean()), 4),
                "unseen": round(float(clip.unseen.mean()), 4),
            }
            for clip in self.clips
        ]
        return {"clips": clips, "notes": list(self.notes)}


def takes_of(trajectory: Trajectory) -> list[tuple[int, int]]:
    """Return first frame and one past the last of each clip; one clip where the trajectory names none."""
    if not trajectory.clips:
        return [(0, len(trajectory))] if len(trajectory) else []
    return [(clip.start, clip.stop) for clip in trajectory.clips]
