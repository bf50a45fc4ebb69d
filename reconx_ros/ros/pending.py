"""Frames that wait for their pose: a short, bounded queue with a deadline."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from reconx_ros.ros.pose_source import PoseSource
from reconx_ros.sources.frame_graph import Reason, TransformError

Item = TypeVar("Item")

PATIENCE_S = 5.0
"""Seconds without any pose after which the user is told and other worlds than the map are tried."""

LEAST = 30
"""Frames that there is always room for."""

_NEVER = (Reason.TOO_EARLY, Reason.GAP)


@dataclass(frozen=True)
class _Waiting(Generic[Item]):
    item: Item
    frame: str
    stamp_ns: int
    since: float


class PoseQueue(Generic[Item]):
    """Holds frames until their pose is known or their deadline has passed.

    Before the first pose a frame may wait as long as ``PATIENCE_S``, for transforms may start late;
    afterwards ``timeout`` seconds. The oldest leaves when the queue is full.

    Args:
        poses: where poses come from.
        timeout: seconds a frame may wait once poses have been seen.
        complain: called with a kind and a line when poses do not arrive.
        hertz: frames a second at most; there is room for as many as come in ``timeout``.
        clock: monotonic seconds.

    Attributes:
        dropped: number of frames dropped, by reason.
    """

    def __init__(
        self,
        poses: PoseSource,
        timeout: float,
        complain: Callable[[str, str], object],
        hertz: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._poses, self._timeout, self._complain = poses, timeout, complain
        self._capacity, self._clock = max(math.ceil(hertz * timeout), LEAST), clock
        self._waiting: deque[_Waiting[Item]] = deque()
        self._begun: float | None = None

    def __len__(self) -> int:
        """Return the number of frames that wait."""
        return len(self._waiting)

    def push(self, item: Item, camera_frame: str, stamp_ns: int) -> None:
        """Add a frame, in order of stamp."""
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        self._waiting.append(_Waiting(item, camera_frame, stamp_ns, now))
        if len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self.dropped["waiting full"] += 1
            if self._poses.world:  # before, transforms may just start late, and that is said
                line = f"more than {self._capacity} frames wait for their pose; the oldest are dropped"
                self._complain("waiting full", line)

    def ready(self) -> list[tuple[Item, NDArray[np.float64]]]:
        """Return the frames whose pose is known by now, with world_from_camera, in order of stamp."""
        found: list[tuple[Item, NDArray[np.float64]]] = []
        while self._waiting:
            head = self._waiting[0]
            try:
                pose = self._poses.pose(head.frame, head.stamp_ns, self._impatient())
            except TransformError as err:
                if err.reason not in _NEVER and self._clock() - head.since < self._deadline():
                    return found
                self._waiting.popleft()
                self._drop(err)
                continue
            except Exception:  # a defect: not again and again with the same frame
                self._waiting.popleft()
                raise
            self._waiting.popleft()
            found.append((head.item, pose))
        return found

    def clear(self) -> None:
        """Forget all that wait."""
        self._waiting.clear()

    def _impatient(self) -> bool:
        return self._begun is not None and self._clock() - self._begun >= PATIENCE_S

    def _deadline(self) -> float:
        return self._timeout if self._poses.world else max(self._timeout, PATIENCE_S)

    def _drop(self, err: TransformError) -> None:
        self.dropped["no pose"] += 1
        after = "" if self._poses.world else f" after {self._deadline():g} s"
        line = str(err).replace("; frames seen", f"{after}; frames seen")
        self._complain(f"pose {err.reason.value}", f"frames without a pose: {line}")
