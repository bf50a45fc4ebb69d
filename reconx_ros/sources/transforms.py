"""A tree of frames over time, as tf2 keeps it, without ROS: recorded and live transforms alike."""

import math
import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SourceError
from reconx_ros.sources.rigid import matrix_from_pose, rigid_inverse, slerp, unit_quaternion

Array = NDArray[np.float64]


class Reason(Enum):
    """Why a transform cannot be given."""

    UNKNOWN_FRAME = "unknown frame"
    NOT_CONNECTED = "not connected"
    TOO_EARLY = "too early"
    TOO_LATE = "too late"
    GAP = "gap too wide"


class TransformError(SourceError):
    """No transform between two frames at a stamp; ``reason`` says why.

    ``Reason.TOO_LATE`` (the stamp is after the newest transform) may heal when more arrives, as may
    an unknown or unconnected frame; ``TOO_EARLY`` and ``GAP`` never do.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["TransformError"], tuple[Reason, str]]:
        """Pickle with the reason, so that it crosses to another process whole."""
        return TransformError, (self.reason, str(self))


@dataclass
class _Edge:
    """The transforms parent_from_child of one child over time, in order of stamp."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[tuple[Array, Array]] = field(default_factory=list)

    def insert(self, stamp_ns: int, translation: Array, quaternion: Array) -> None:
        """Insert a pose; one of the same stamp is replaced."""
        at = len(self.stamps)
        if self.stamps and stamp_ns <= self.stamps[-1]:
            at = bisect_left(self.stamps, stamp_ns)
            if self.stamps[at] == stamp_ns:
                self.poses[at] = (translation, quaternion)
                return
        self.stamps.insert(at, stamp_ns)
        self.poses.insert(at, (translation, quaternion))

    def forget_before(self, stamp_ns: float) -> None:
        """Drop what is older; in blocks, so that it costs O(1) for each pose on average."""
        old = bisect_left(self.stamps, stamp_ns)
        if old > 32 and old > len(self.stamps) // 2:
            del self.stamps[:old], self.poses[:old]

    def at(self, child: str, stamp_ns: int, max_gap_ns: float) -> Array:
        """Return parent_from_child [4, 4] at ``stamp_ns``, lerp and slerp between two poses."""
        if self.static:
            return matrix_from_pose(*self.poses[0])
        after = bisect_left(self.stamps, stamp_ns)
        if after < len(self.stamps) and self.stamps[after] == stamp_ns:
            return matrix_from_pose(*self.poses[after])
        self._check(child, stamp_ns, after, max_gap_ns)
        begin, end = self.stamps[after - 1], self.stamps[after]
        share = (stamp_ns - begin) / (end - begin)
        (t0, q0), (t1, q1) = self.poses[after - 1], self.poses[after]
        return matrix_from_pose((1 - share) * t0 + share * t1, slerp(q0, q1, share))

    def _check(self, child: str, stamp_ns: int, after: int, max_gap_ns: float) -> None:
        edge = f"transform {self.parent} -> {child}"
        if after == 0:
            late = (self.stamps[0] - stamp_ns) / 1e9
            raise TransformError(Reason.TOO_EARLY, f"{edge} begins {late:.3f} s after the stamp")
        if after == len(self.stamps):
            early = (stamp_ns - self.stamps[-1]) / 1e9
            raise TransformError(Reason.TOO_LATE, f"{edge} ends {early:.3f} s before the stamp")
        gap = self.stamps[after] - self.stamps[after - 1]
        if gap > max_gap_ns:
            allowed = max_gap_ns / 1e9
            raise TransformError(
                Reason.GAP, f"{edge} has a gap of {gap / 1e9:.3f} s (at most {allowed:g} s)"
            )


class TransformTree:
    """Frames joined by transforms in time.

    Each child has one parent, as in tf2; a child that gets a new parent loses its history. Adding
    and looking up may happen in different threads.

    Args:
        history_s: seconds of moving transforms to keep behind the newest of each child; at most
            about twice that is held.
    """

    def __init__(self, history_s: float = math.inf) -> None:
        self._history_ns = history_s * 1e9
        self._edges: dict[str, _Edge] = {}
        self._lock = threading.Lock()

    def add(
        self, parent: str, child: str, stamp_ns: int, translation: Array, quaternion_xyzw: Array
    ) -> bool:
        """Add parent_from_child at a stamp; return false where its numbers are no rotation."""
        return self._insert(parent, child, stamp_ns, translation, quaternion_xyzw, static=False)

    def add_static(self, parent: str, child: str, translation: Array, quaternion_xyzw: Array) -> bool:
        """Add parent_from_child for all time; the last one given counts."""
        return self._insert(parent, child, 0, translation, quaternion_xyzw, static=True)

    def _insert(
        self, parent: str, child: str, stamp_ns: int, translation: Array, quaternion: Array, static: bool
    ) -> bool:
        translation = np.asarray(translation, dtype=np.float64)
        unit = unit_quaternion(np.asarray(quaternion, dtype=np.float64))
        parent, child = _bare(parent), _bare(child)
        if unit is None or not np.isfinite(translation).all() or parent == child:
            return False
        with self._lock:
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent or edge.static or static:
                edge = self._edges[child] = _Edge(parent, static)
            edge.insert(stamp_ns, translation, unit)
            edge.forget_before(edge.stamps[-1] - self._history_ns)
        return True

    @property
    def frames(self) -> tuple[str, ...]:
        """Every frame seen, sorted."""
        with self._lock:
            return tuple(sorted(self._frames()))

    def _frames(self) -> set[str]:
        return set(self._edges) | {edge.parent for edge in self._edges.values()}

    def clear(self, keep_static: bool = False) -> None:
        """Forget everything, or the moving transforms only (after a jump in time)."""
        with self._lock:
            self._edges = {c: e for c, e in self._edges.items() if keep_static and e.static}

    def lookup(self, target: str, source: str, stamp_ns: int, max_gap_s: float = math.inf) -> Array:
        """Return target_from_source [4, 4] float64 at a stamp.

        Args:
            target: frame of the result's coordinates.
            source: frame of the coordinates it takes.
            stamp_ns: nanoseconds.
            max_gap_s: seconds between two poses over which is still interpolated.

        Raises:
            TransformError: the frames are not joined at that stamp.
        """
        target, source = _bare(target), _bare(source)
        with self._lock:
            up, down = self._path(source), self._path(target)
            common = next((frame for frame in up if frame in down), None)
            if common is None:
                raise self._missing(target, source)
            common_from_source = self._climb(up[: up.index(common)], stamp_ns, max_gap_s * 1e9)
            common_from_target = self._climb(down[: down.index(common)], stamp_ns, max_gap_s * 1e9)
        return rigid_inverse(common_from_target) @ common_from_source

    def connected(self, target: str, source: str) -> bool:
        """Return whether the frames are joined at all, at whatever time."""
        with self._lock:
            return bool(set(self._path(_bare(target))) & set(self._path(_bare(source))))

    def _path(self, frame: str) -> list[str]:
        """Return ``frame`` and its ancestors; a loop ends where it closes."""
        path = [frame]
        while (edge := self._edges.get(path[-1])) is not None and edge.parent not in path:
            path.append(edge.parent)
        return path

    def _climb(self, frames: list[str], stamp_ns: int, max_gap_ns: float) -> Array:
        """Return ancestor_from_frame, ``frames`` being the frames below the ancestor, upwards."""
        total = np.eye(4)
        for frame in frames:
            total = self._edges[frame].at(frame, stamp_ns, max_gap_ns) @ total
        return total

    def _missing(self, target: str, source: str) -> TransformError:
        known = self._frames()
        seen = ", ".join(sorted(known)) or "none"
        unknown = [frame for frame in (target, source) if frame not in known]
        reason = Reason.UNKNOWN_FRAME if unknown else Reason.NOT_CONNECTED
        return TransformError(reason, f"no transform {target} -> {source}; frames seen: {seen}")

    def newest(self, child: str) -> int | None:
        """Return the newest stamp (ns) of a moving child, ``None`` where there is none."""
        with self._lock:
            edge = self._edges.get(_bare(child))
            return edge.stamps[-1] if edge is not None and not edge.static else None


def _bare(frame: str) -> str:
    """Return a frame name without the leading slash of ROS 1."""
    return frame.lstrip("/")
