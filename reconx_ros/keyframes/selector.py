"""The live decision whether a frame becomes a keyframe."""

from collections import Counter, deque
from enum import Enum

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH, Footprint, overlap
from reconx_ros.keyframes.sharpness import BlurDetector


class Verdict(str, Enum):
    """What became of a frame; the value is the reason shown to the user."""

    ACCEPTED = "accepted"
    INVALID = "invalid"
    UNPOSED = "unposed"
    BLURRED = "blurred"
    TOO_CLOSE = "too close"
    REDUNDANT = "redundant"


class KeyframeSelector:
    """Decides frame by frame, from the past alone, whether a frame becomes a keyframe.

    A frame is kept if it is posed and sharp, has moved ``min_baseline`` or turned ``min_rotation``
    since the last keyframe, and shares at most ``max_overlap`` of its view with each of the last
    ``capacity`` keyframes. Equal frames in equal order give equal verdicts.

    Attributes:
        counts: frames by verdict.
    """

    def __init__(self, config: KeyframeConfig, scale: float = 1.0) -> None:
        """Create a selector.

        Args:
            config: thresholds.
            scale: world units a metre of the configuration stands for; 1 in a metric world, else
                ``scene_depth(frames) / NOMINAL_DEPTH``.
        """
        self.counts: Counter[Verdict] = Counter()
        self._config = config
        self._scale = scale
        self._blur = BlurDetector(config.min_sharpness)
        self._kept: deque[tuple[Camera, Footprint]] = deque(maxlen=config.capacity)

    def offer(self, frame: Keyframe) -> Verdict:
        """Return whether ``frame`` is a keyframe, and why not; an accepted one is remembered."""
        verdict = self._judge(frame)
        self.counts[verdict] += 1
        return verdict

    def withdraw(self) -> None:
        """Forget the frame accepted last, which came to nothing; ``counts`` stays."""
        self._kept.pop()

    def _judge(self, frame: Keyframe) -> Verdict:
        if not _valid(frame):
            return Verdict.INVALID
        blurred = self._blur.blurred(frame.image)
        if not frame.posed:
            return Verdict.UNPOSED
        if blurred:
            return Verdict.BLURRED
        if self._kept and self._close(frame.camera):
            return Verdict.TOO_CLOSE
        footprint = Footprint.of(frame, NOMINAL_DEPTH * self._scale)
        if any(overlap(footprint, kept) > self._config.max_overlap for _, kept in reversed(self._kept)):
            return Verdict.REDUNDANT
        self._kept.append((frame.camera, footprint))
        return Verdict.ACCEPTED

    def _close(self, camera: Camera) -> bool:
        last = self._kept[-1][0]
        near = baseline(camera, last) < self._config.min_baseline * self._scale
        return near and rotation_degrees(camera, last) < self._config.min_rotation


def baseline(first: Camera, second: Camera) -> float:
    """Return the distance between the optical centres, in world units."""
    return float(np.linalg.norm(first.centre - second.centre))


def rotation_degrees(first: Camera, second: Camera) -> float:
    """Return the angle in degrees, in [0, 180], of the rotation between two cameras."""
    relative = first.world_from_camera[:3, :3].T @ second.world_from_camera[:3, :3]
    # The sine form is exact for small angles, where the arc cosine of the trace is not.
    sine = np.linalg.norm(
        [relative[2, 1] - relative[1, 2], relative[0, 2] - relative[2, 0], relative[1, 0] - relative[0, 1]]
    )
    return float(np.degrees(np.arctan2(sine, np.trace(relative) - 1)))


def _valid(frame: Keyframe) -> bool:
    """Return whether the image, depth and camera agree in size and hold finite numbers."""
    camera = frame.camera
    shape = (camera.height, camera.width)
    sized = frame.image.shape == (*shape, 3) and min(shape) > 0
    depth = frame.depth is None or frame.depth.shape == shape
    focal = camera.intrinsics[0, 0] > 0 and camera.intrinsics[1, 1] > 0
    finite = np.isfinite(camera.intrinsics).all() and np.isfinite(camera.world_from_camera).all()
    return bool(sized and depth and focal and finite)
