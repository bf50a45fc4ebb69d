"""A worker process for real, and what comes from it, for tests."""

import errno
import queue
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ros_frames as frames
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.deltas import RowMirror
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import AddKeyframe, Begin
from reconx_ros.ros.link_replies import Activity, Added, MapUpdate, Reply
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.worker_child import PROGRAM

OVERRIDES = {"splatting": {"steps": 10, "max_gaussians": 3000}, "geometry": {"method": "rgbd"}}


def keyframe(index: int, *, with_depth: bool = True) -> Keyframe:
    """A view of the wall and box, from 0.2 m further along x each time."""
    pose = np.eye(4)
    pose[0, 3] = 0.2 * index
    matrix = np.array([[frames.FOCAL, 0, 79.5], [0, frames.FOCAL, 59.5], [0, 0, 1]])
    camera = Camera(matrix, pose, frames.WIDTH, frames.HEIGHT)
    depth = frames.depth_metres() if with_depth else None
    return Keyframe(f"{index:06d}", 1000 + index, frames.picture(index), camera, depth)


def in_cells(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean colour of each cell of 8 x 8 pixels."""
    height, width = picture.shape[:2]
    return picture.astype(np.float64).reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))


class Bench:
    """A worker and what came from it."""

    def __init__(
        self,
        folder: Path,
        daily: dict[str, Any] | None = None,
        journal: Path | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self.log: list[str] = []
        self.fails_at: type | None = None
        config = load_config("fast", overrides=OVERRIDES | (daily or {}))
        least = 3 if daily is None else 2
        begin = Begin(config, min_keyframes=least, update_period_s=0.1, rescue=folder / "rescue")
        kept = None if journal is None else Journal(begin, journal)
        self.worker = OnboardWorker(begin, self.received, self.log.append, kept, program)
        self.folder = folder
        self.points, self.gaussians = RowMirror(), RowMirror()

    def received(self, reply: Reply) -> None:
        """Take a reply; what somebody does with it may go wrong."""
        self.replies.put(reply)
        if self.fails_at is not None and isinstance(reply, self.fails_at):
            raise OSError(errno.ENOSPC, "No space left on device")

    def next(self, kind: type | tuple[type, ...], timeout: float = 240.0) -> Reply:
        """Return the next reply of this kind."""
        deadline = time.monotonic() + timeout
        while True:
            reply = self.replies.get(timeout=max(deadline - time.monotonic(), 0.01))
            if isinstance(reply, MapUpdate):
                self.points.apply(reply.points)
                self.gaussians.apply(reply.gaussians)
            if isinstance(reply, kind):
                return reply

    def add(self, *indices: int) -> None:
        for index in indices:
            self.worker.send(AddKeyframe(keyframe(index), "camera"))

    def visit(self, *places: int) -> None:
        """Take keyframes at places, where others may be already, and wait for each."""
        for number, place in enumerate(places):
            taken = replace(keyframe(place), name=f"{number:06d}")
            self.worker.send(AddKeyframe(taken, "camera"))
            self.next(Added)

    def map_of(self, count: int) -> MapUpdate:
        """Return the first map of ``count`` keyframes."""
        while True:
            update = self.next(MapUpdate)
            assert isinstance(update, MapUpdate)
            if len(update.views) == count:
                return update

    def refined_map(self, count: int) -> MapUpdate:
        """Return the map of ``count`` keyframes that the worker comes to rest with."""
        latest = self.map_of(count)
        while True:
            reply = self.next((MapUpdate, Activity))
            if isinstance(reply, MapUpdate):
                latest = reply
            elif isinstance(reply, Activity) and not reply.stage:
                return latest
