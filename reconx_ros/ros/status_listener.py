"""Watching a running node from outside: its ``~/status``, a line a second."""

import math
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from reconx_msgs.msg import MapStatus

from reconx_ros.progress import Progress


class StatusListener:
    """Listens to the node's ``~/status``."""

    def __init__(self) -> None:
        self._node = rclpy.create_node("reconx_demo")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._node.create_subscription(MapStatus, "/reconx/status", self._take, 10)
        self.latest: MapStatus | None = None

    def follow(self, goes_on: Callable[[], bool], progress: Progress, stage: str) -> None:
        """Listen while ``goes_on()``; tell ``progress`` about the latest status once a second."""
        began = told = time.monotonic()
        while goes_on() and not progress.cancelled():
            self._executor.spin_once(timeout_sec=0.1)
            if self.latest is not None and time.monotonic() - told >= 1.0:
                told = time.monotonic()
                progress.update(stage, round(told - began), 0, _line(self.latest))

    @property
    def idle(self) -> bool:
        """Whether the map holds everything sent and is refined to the end."""
        status = self.latest
        return status is not None and status.worker == "idle" and not status.queue

    def close(self) -> None:
        """End listening."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _take(self, status: MapStatus) -> None:
        self.latest = status


def _line(status: MapStatus) -> str:
    if status.worker == "starting":
        return "the worker starts; the first time ever it compiles for half a minute"
    loss = "" if math.isnan(status.loss) else f", loss {status.loss:.4f}"
    counts = (
        f"{status.frames_received} images, {status.keyframes} keyframes, {status.gaussians:,} Gaussians"
    )
    return f"{status.state}: {counts}{loss}"
