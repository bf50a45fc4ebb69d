"""A bounded set of keyframes that keeps as much of the view as it can."""

import numpy as np

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH, Footprint, overlap


class KeyframeBuffer:
    """At most ``capacity`` keyframes in order of arrival.

    When one too many arrives, the one that overlaps most with another one leaves; the first (it
    anchors the map) and the newest stay. Of equally redundant ones the oldest leaves. With a
    capacity of 1 only the newest stays.
    """

    def __init__(self, capacity: int, nominal_depth: float = NOMINAL_DEPTH) -> None:
        """Create an empty buffer.

        Args:
            capacity: most keyframes held, at least 1.
            nominal_depth: distance in world units at which views without depth are compared.
        """
        self._nominal_depth = nominal_depth
        self._capacity = capacity
        self._keyframes: list[Keyframe] = []
        self._footprints: list[Footprint] = []
        self._overlaps = np.zeros((0, 0))  # between each two, zero on the diagonal

    def __len__(self) -> int:
        """Return the number of keyframes held."""
        return len(self._keyframes)

    @property
    def keyframes(self) -> tuple[Keyframe, ...]:
        """The keyframes in order of arrival."""
        return tuple(self._keyframes)

    def add(self, keyframe: Keyframe) -> Keyframe | None:
        """Take in ``keyframe`` and return the one that had to leave, if any."""
        footprint = Footprint.of(keyframe, self._nominal_depth)
        row = np.array([overlap(footprint, other) for other in self._footprints])
        self._overlaps = np.pad(self._overlaps, (0, 1))
        self._overlaps[-1, :-1] = self._overlaps[:-1, -1] = row
        self._keyframes.append(keyframe)
        self._footprints.append(footprint)
        return self._remove(self._most_redundant()) if len(self) > self._capacity else None

    def clear(self) -> None:
        """Forget all keyframes."""
        self._keyframes.clear()
        self._footprints.clear()
        self._overlaps = np.zeros((0, 0))

    def _most_redundant(self) -> int:
        """Return the index of the keyframe to leave: neither the first nor the newest."""
        inner = self._overlaps.max(axis=1)[1:-1]
        return int(np.argmax(inner)) + 1 if inner.size else 0

    def _remove(self, index: int) -> Keyframe:
        self._overlaps = np.delete(np.delete(self._overlaps, index, axis=0), index, axis=1)
        del self._footprints[index]
        return self._keyframes.pop(index)
