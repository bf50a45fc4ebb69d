"""A tree of frames over time, as tf2 keeps it, without ROS: recorded and live transforms alike."""

import math
import threading
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.frame_graph import FrameGraph, Track, bare
from reconx_ros.sources.rigid import matrix_from_pose, rigid_inverse, slerp
from reconx_ros.sources.transform_checks import checked

Array = NDArray[np.float64]


class Transforms(Protocol):
    """Frames joined by transforms in time: the tree here, or ``tf2_ros`` behind the same members.

    Adding and looking up may happen in different threads.
    """

    def add(
        self, parent: str, child: str, stamp_ns: int, translation: Array, quaternion_xyzw: Array
    ) -> str:
        """Add parent_from_child at a stamp (ns), and return nothing; or return the line why it is not used.

        It is not where its frames or numbers are none (``checked``), or where it closes a loop: which of
        the transforms in a loop is wrong nobody knows, so what is there already stays.
        """

    def add_static(self, parent: str, child: str, translation: Array, quaternion_xyzw: Array) -> str:
        """Add parent_from_child for all time, as ``add`` does; the last one given counts."""

    @property
    def frames(self) -> tuple[str, ...]:
        """Every frame seen, sorted."""

    def clear(self, keep_static: bool = False) -> None:
        """Forget everything, or the moving transforms only (after a jump in time)."""

    def lookup(self, target: str, source: str, stamp_ns: int, max_gap_s: float = math.inf) -> Array:
        """Return target_from_source [4, 4] float64 at a stamp.

        Args:
            target: frame of the result's coordinates.
            source: frame of the coordinates it takes.
            stamp_ns: nanoseconds; never "the newest".
            max_gap_s: seconds between two poses over which is still interpolated.

        Raises:
            TransformError: the frames are not joined at that stamp.
        """

    def connected(self, target: str, source: str) -> bool:
        """Return whether the frames are joined at all, at whatever time."""

    def newest(self, target: str, source: str) -> int | None:
        """Return the newest stamp (ns) at which all that joins two frames is known; ``None``: at any.

        Raises:
            TransformError: the frames are not joined.
        """


@dataclass
class _Edge(Track):
    """The transforms parent_from_child of one child over time, in order of stamp."""

    poses: list[tuple[Array, Array]] = field(default_factory=list)

    def insert(self, stamp_ns: int, translation: Array, quaternion: Array) -> None:
        """Insert a pose; one of the same stamp is replaced."""
        at, there = self.place(stamp_ns)
        if there:
            self.poses[at] = (translation, quaternion)
        else:
            self.stamps.insert(at, stamp_ns)
            self.poses.insert(at, (translation, quaternion))

    def forget_before(self, stamp_ns: float) -> None:
        """Drop what is older."""
        old = self.older(stamp_ns)
        del self.stamps[:old], self.poses[:old]

    def at(self, child: str, stamp_ns: int, max_gap_ns: float) -> Array:
        """Return parent_from_child [4, 4] at ``stamp_ns``, lerp and slerp between two poses."""
        after, exact = self.check(child, stamp_ns, max_gap_ns)
        if exact:
            return matrix_from_pose(*self.poses[0 if self.static else after])
        begin, end = self.stamps[after - 1], self.stamps[after]
        share = (stamp_ns - begin) / (end - begin)
        (t0, q0), (t1, q1) = self.poses[after - 1], self.poses[after]
        return matrix_from_pose((1 - share) * t0 + share * t1, slerp(q0, q1, share))


class TransformTree:
    """Frames joined by transforms in time (``Transforms``), without ROS.

    Each child has one parent, as in tf2; a child that gets a new parent loses its history.

    Args:
        history_s: seconds of moving transforms to keep behind the newest of each child; at most
            about twice that is held.
    """

    def __init__(self, history_s: float = math.inf) -> None:
        self._history_ns = history_s * 1e9
        self._graph: FrameGraph[_Edge] = FrameGraph()
        self._lock = threading.Lock()

    def add(
        self, parent: str, child: str, stamp_ns: int, translation: Array, quaternion_xyzw: Array
    ) -> str:
        """Add parent_from_child at a stamp; return why it is not used; see ``Transforms``."""
        return self._insert(parent, child, stamp_ns, translation, quaternion_xyzw, static=False)

    def add_static(self, parent: str, child: str, translation: Array, quaternion_xyzw: Array) -> str:
        """Add parent_from_child for all time; the last one given counts."""
        return self._insert(parent, child, 0, translation, quaternion_xyzw, static=True)

    def _insert(
        self, parent: str, child: str, stamp_ns: int, translation: Array, quaternion: Array, static: bool
    ) -> str:
        parent, child = bare(parent), bare(child)
        pose = checked(parent, child, translation, quaternion)
        if isinstance(pose, str):
            return pose
        with self._lock:
            if loop := self._graph.loop(parent, child):
                return loop
            edge = self._graph.edges.get(child)
            if edge is None or edge.parent != parent or edge.static or static:
                edge = self._graph.edges[child] = _Edge(parent, static)
            edge.insert(stamp_ns, *pose)
            edge.forget_before(edge.stamps[-1] - self._history_ns)
        return ""

    @property
    def frames(self) -> tuple[str, ...]:
        """Every frame seen, sorted."""
        with self._lock:
            return tuple(sorted(self._graph.frames()))

    def clear(self, keep_static: bool = False) -> None:
        """Forget everything, or the moving transforms only (after a jump in time)."""
        with self._lock:
            self._graph.clear(keep_static)

    def lookup(self, target: str, source: str, stamp_ns: int, max_gap_s: float = math.inf) -> Array:
        """Return target_from_source [4, 4] float64 at a stamp; see ``Transforms``.

        Raises:
            TransformError: the frames are not joined at that stamp.
        """
        with self._lock:
            down, up = self._graph.branches(bare(target), bare(source))
            common_from_source = self._climb(up, stamp_ns, max_gap_s * 1e9)
            common_from_target = self._climb(down, stamp_ns, max_gap_s * 1e9)
        return rigid_inverse(common_from_target) @ common_from_source

    def connected(self, target: str, source: str) -> bool:
        """Return whether the frames are joined at all, at whatever time."""
        with self._lock:
            return self._graph.connected(bare(target), bare(source))

    def newest(self, target: str, source: str) -> int | None:
        """Return the newest stamp (ns) at which two frames are joined; see ``Transforms``."""
        with self._lock:
            return self._graph.newest(bare(target), bare(source))

    def _climb(self, frames: list[str], stamp_ns: int, max_gap_ns: float) -> Array:
        """Return ancestor_from_frame, ``frames`` being the frames below the ancestor, upwards."""
        total = np.eye(4)
        for frame in frames:
            total = self._graph.edges[frame].at(frame, stamp_ns, max_gap_ns) @ total
        return total
