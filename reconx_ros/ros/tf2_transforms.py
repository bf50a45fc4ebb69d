"""``tf2_ros`` behind ``Transforms``: the numbers are tf2's where it is installed."""

import importlib
import math
import threading
from functools import cache
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.time import Time

from reconx_ros.ros.messages import time_message
from reconx_ros.sources.frame_graph import FrameGraph, Reason, Track, TransformError, bare
from reconx_ros.sources.rigid import matrix_from_pose
from reconx_ros.sources.transform_checks import checked
from reconx_ros.sources.transforms import Transforms, TransformTree

Array = NDArray[np.float64]

LONGEST_S = 1e9
"""Seconds of history that stand for all of it; tf2 counts in nanoseconds of 63 bits."""


@cache
def has_tf2() -> bool:
    """Return whether ``tf2_ros`` is installed and fits this Python."""
    try:
        importlib.import_module("tf2_ros")
    except ImportError:  # also one that was built for another Python
        return False
    return True


def live_transforms(history_s: float) -> Transforms:
    """Return a buffer of ``tf2_ros``, or a tree of our own where that cannot be used."""
    return Tf2Transforms(history_s) if has_tf2() else TransformTree(history_s)


class Tf2Transforms:
    """A ``tf2_ros.Buffer`` with the contract of ``Transforms``.

    tf2 bounds no gap between two poses, takes stamp 0 for "the newest", and its errors say in prose
    what was missing. So when each frame was seen is noted beside it; a lookup is judged by that, and
    what may be given is computed by tf2.

    Args:
        history_s: seconds of moving transforms to keep behind the newest of each child.
    """

    def __init__(self, history_s: float = math.inf) -> None:
        self._history_s = min(history_s, LONGEST_S)
        self._graph: FrameGraph[Track] = FrameGraph()
        self._buffer = self._fresh()
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
        message = _stamped(parent, child, stamp_ns, *pose)
        with self._lock:
            if loop := self._graph.loop(parent, child):
                return loop
            self._note(parent, child, stamp_ns, static)
            add = self._buffer.set_transform_static if static else self._buffer.set_transform
            add(message, "reconx")
        return ""

    def _note(self, parent: str, child: str, stamp_ns: int, static: bool) -> None:
        edge = self._graph.edges.get(child)
        if edge is None or edge.parent != parent or edge.static or static:
            edge = self._graph.edges[child] = Track(parent, static)
        at, there = edge.place(stamp_ns)
        if not there:
            edge.stamps.insert(at, stamp_ns)
        del edge.stamps[: edge.older(edge.stamps[-1] - self._history_s * 1e9)]

    @property
    def frames(self) -> tuple[str, ...]:
        """Every frame seen, sorted."""
        with self._lock:
            return tuple(sorted(self._graph.frames()))

    def clear(self, keep_static: bool = False) -> None:
        """Forget everything, or the moving transforms only (after a jump in time)."""
        with self._lock:
            self._graph.clear(keep_static)
            if keep_static:
                self._buffer.clear()  # which keeps static transforms
            else:
                self._buffer = self._fresh()

    def lookup(self, target: str, source: str, stamp_ns: int, max_gap_s: float = math.inf) -> Array:
        """Return target_from_source [4, 4] float64 at a stamp; see ``Transforms``.

        Raises:
            TransformError: the frames are not joined at that stamp.
        """
        target, source = bare(target), bare(source)
        with self._lock:
            for branch in reversed(self._graph.branches(target, source)):
                for frame in branch:
                    self._graph.edges[frame].check(frame, stamp_ns, max_gap_s * 1e9)
            return np.eye(4) if target == source else self._ask(target, source, stamp_ns)

    def connected(self, target: str, source: str) -> bool:
        """Return whether the frames are joined at all, at whatever time."""
        with self._lock:
            return self._graph.connected(bare(target), bare(source))

    def newest(self, target: str, source: str) -> int | None:
        """Return the newest stamp (ns) at which two frames are joined; see ``Transforms``."""
        with self._lock:
            return self._graph.newest(bare(target), bare(source))

    def _ask(self, target: str, source: str, stamp_ns: int) -> Array:
        from tf2_ros import TransformException  # noqa: PLC0415  not everywhere installed

        at = Time(nanoseconds=max(stamp_ns, 1))  # 0 would mean the newest
        try:
            found = self._buffer.lookup_transform_core(target, source, at).transform
        except TransformException as err:  # it forgets a little earlier than the notes
            raise TransformError(Reason.TOO_EARLY, f"tf2: {err}") from err
        move, turn = found.translation, found.rotation
        return matrix_from_pose(
            np.array([move.x, move.y, move.z]), np.array([turn.x, turn.y, turn.z, turn.w])
        )

    def _fresh(self) -> Any:  # noqa: ANN401
        from tf2_ros import Buffer  # noqa: PLC0415  not everywhere installed

        return Buffer(cache_time=Duration(seconds=self._history_s))


def _stamped(
    parent: str, child: str, stamp_ns: int, translation: Array, quaternion_xyzw: Array
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, time_message(stamp_ns)
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = map(float, translation)
    turn.x, turn.y, turn.z, turn.w = map(float, quaternion_xyzw)
    return message
