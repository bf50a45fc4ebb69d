"""Which frames of a recording become keyframes: by motion, by number or by index."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from reconx_ros.errors import ConfigError
from reconx_ros.keyframes.buffer import KeyframeBuffer
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.keyframes.scale import scene_depth
from reconx_ros.keyframes.selector import KeyframeSelector, Verdict

__all__ = ["KeyframeSelector", "Verdict", "select_evenly", "select_keyframes", "select_views"]

HELD = 512
"""Frames held at most while a recording of unknown length is read (or 8 times the wanted number)."""


def select_keyframes(
    frames: Iterable[Keyframe],
    config: KeyframeConfig,
    metric: bool = True,
    counts: Counter[Verdict] | None = None,
) -> list[Keyframe]:
    """Select keyframes from a recording as the live node would, and reduce them.

    Args:
        frames: in time order; read once. In a metric world at most ``capacity`` are held.
        config: thresholds, capacity and image width.
        metric: whether the poses are in metres. Where they are not, all frames are read (reduced)
            first to find the scale of the scene.
        counts: where given, the number of frames by verdict is added to it.

    Returns:
        At most ``config.capacity`` keyframes in the order of ``frames``.
    """
    scale = 1.0
    if not metric:
        frames = [reduce(frame, config.image_width) for frame in frames]
        scale = scene_depth(frames) / NOMINAL_DEPTH
    selector, buffer = (
        KeyframeSelector(config, scale),
        KeyframeBuffer(config.capacity, NOMINAL_DEPTH * scale),
    )
    for frame in frames:
        if selector.offer(frame) is Verdict.ACCEPTED:
            buffer.add(reduce(frame, config.image_width))
    if counts is not None:
        counts.update(selector.counts)
    return list(buffer.keyframes)


class Thinned:
    """Frames of a recording of unknown length in bounded memory: all, every second, every fourth, ..."""

    def __init__(self, most: int, image_width: int | None) -> None:
        """Hold ``most`` frames at most, reduced, and the last."""
        self._most, self._stride, self._width = most, 1, image_width
        self._held: list[Keyframe] = []
        self._last: Keyframe | None = None
        self.total = 0

    def add(self, frame: Keyframe) -> None:
        """Take the next frame."""
        if self.total % self._stride == 0:
            self._held.append(_reduced(frame, self._width))
        self._last = frame
        self.total += 1
        if len(self._held) > self._most:
            self._held, self._stride = self._held[::2], self._stride * 2

    def spread(self, count: int) -> list[Keyframe]:
        """Return ``count`` (1 to ``total``) of them spread evenly, ends included."""
        places = np.linspace(0, self.total - 1, count)
        chosen = [self._held[min(round(p / self._stride), len(self._held) - 1)] for p in places]
        if count > 1 and self._last is not None:
            chosen[-1] = _reduced(self._last, self._width)
        return chosen


def select_evenly(frames: Iterable[Keyframe], count: int, image_width: int | None = None) -> list[Keyframe]:
    """Return exactly ``count`` posed frames spread evenly over the recording, ends included.

    Of a recording of up to ``HELD`` frames these are the frames at ``linspace(0, n - 1, count)``
    rounded. Of a longer one every second, fourth, ... frame is held, so memory stays bounded and a
    frame is off its ideal place by at most ``1 / HELD`` of the recording.

    Args:
        frames: in time order; read once.
        count: keyframes wanted.
        image_width: pixels to reduce to; ``None`` keeps the size.

    Raises:
        ConfigError: ``count`` < 1, or the recording has fewer posed frames.
    """
    if count < 1:
        raise ConfigError(f"{count} keyframes asked for; at least 1 is needed")
    thinned = Thinned(max(HELD, 8 * count), image_width)
    for frame in (f for f in frames if f.posed):
        thinned.add(frame)
    if thinned.total < count:
        raise ConfigError(
            f"{count} keyframes asked for, but the recording has only {thinned.total} posed frames"
        )
    return thinned.spread(count)


def select_views(
    frames: Iterable[Keyframe], indices: Sequence[int], image_width: int | None = None
) -> list[Keyframe]:
    """Return the frames at ``indices`` (counted from 0 over all frames) in the order of the recording.

    Args:
        frames: in time order; read up to the last index only.
        indices: distinct; any order.
        image_width: pixels to reduce to; ``None`` keeps the size.

    Raises:
        ConfigError: an index is negative, repeated or past the end, or its frame has no pose.
    """
    wanted = sorted(indices)
    if not wanted or wanted[0] < 0 or len(set(wanted)) < len(wanted):
        raise ConfigError(f"views {list(indices)}: distinct indices from 0 are needed")
    chosen: list[Keyframe] = []
    for index, frame in enumerate(frames):
        if index == wanted[len(chosen)]:
            if not frame.posed:
                raise ConfigError(f"view {index} ('{frame.name}') has no pose; choose a posed one")
            chosen.append(_reduced(frame, image_width))
            if len(chosen) == len(wanted):
                return chosen
    raise ConfigError(f"view {wanted[len(chosen)]} is past the end of the recording")


def _reduced(frame: Keyframe, image_width: int | None) -> Keyframe:
    return frame if image_width is None else reduce(frame, image_width)
