"""The newest map on the worker's machine, and what of it the robot lacks."""

import threading
from dataclasses import replace

from reconx_ros.ros.deltas import DeltaMaker, RowMirror
from reconx_ros.ros.half_rows import half_size
from reconx_ros.ros.link_replies import MapUpdate

COARSE = 6.0
"""While the worker refines, changes below this many tolerances are not sent."""

TURN_BYTES = 2_000_000
"""Bytes that one map may take where the link has no bound."""


class LatestMap:
    """The newest map of the worker, from which what the robot lacks is made when there is room.

    Refinement moves nearly every Gaussian a little all the time. So only what has changed visibly is
    sent, the farthest from what the robot has first, and no more at a time than ``bytes_a_turn``; what
    has to wait goes when the worker has come to rest.

    Args:
        bytes_a_turn: that one map may take; rows that are new or gone always go.
    """

    def __init__(self, bytes_a_turn: int = TURN_BYTES) -> None:
        self._bytes = bytes_a_turn
        self._points, self._gaussians = RowMirror(), RowMirror()
        self._makers = DeltaMaker(), DeltaMaker()
        self._latest: MapUpdate | None = None
        self._unfinished: MapUpdate | None = None
        self._lock = threading.Lock()

    def take(self, update: MapUpdate) -> None:
        """Take a map of the worker.

        Raises:
            DeltaGapError: one before it was lost.
        """
        with self._lock:
            self._points.apply(update.points)
            self._gaussians.apply(update.gaussians)
            self._latest = update

    def give(self, resting: bool) -> MapUpdate | None:
        """Return changes since the last call, ``None`` where there are none to send now.

        Args:
            resting: whether the worker has come to rest: small changes then go too, and what is left.
        """
        with self._lock:
            update, self._latest = self._latest, None
            if update is None and resting:
                update = self._unfinished
            points, gaussians = self._points.rows, self._gaussians.rows
        if update is None or points is None or gaussians is None:
            return None
        coarse = 1.0 if resting else COARSE
        cloud = self._makers[0].make(points, coarse, self._bytes // half_size(points.dtype))
        room = self._bytes - len(cloud.changed) * half_size(points.dtype)
        most = max(room, self._bytes // 2) // half_size(gaussians.dtype)
        splats = self._makers[1].make(gaussians, coarse, most)
        left = sum(maker.left for maker in self._makers)
        self._unfinished = update if left or not resting else None
        return replace(update, points=cloud, gaussians=splats)

    def resend(self) -> None:
        """Let the next map be complete."""
        for maker in self._makers:
            maker.reset()
