"""What ``~/status`` says: rates, warnings, drop reasons, and what is known of the map."""

import math
import time
from collections import Counter
from collections.abc import Callable

from reconx_msgs.msg import MapStatus

from reconx_ros.ros.map_state import MapState
from reconx_ros.ros.messages import finite, header
from reconx_ros.ros.resources import memory_bytes

HOUR_S = 3600.0


class Rates:
    """Messages a second, by kind, over the time between two calls of ``step``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: Counter[str] = Counter()
        self._at = clock()

    def step(self, received: Counter[str]) -> dict[str, float]:
        """Return the rates since the last call."""
        now = self._clock()
        span = max(now - self._at, 1e-3)
        rates = {kind: (count - self._last[kind]) / span for kind, count in received.items()}
        self._last, self._at = Counter(received), now
        return rates


def pose_warning(a_second: float) -> list[str]:
    """Return a warning where frames are dropped now for want of a pose."""
    return [f"{a_second:.1f} frames a second have no pose; the log says why"] if a_second > 0 else []


def left_out_warning(count: int) -> list[str]:
    """Return a warning where keyframes are left out because workers died while they added them."""
    return (
        [f"{count} keyframes are left out, for workers died of them; the log names them"] if count else []
    )


def clock_warning(now_ns: int, stamp_ns: int | None) -> str:
    """Return a warning where the image stamps are an hour or more off the node's clock, else nothing.

    Args:
        now_ns: the node's clock; 0 where time is simulated and nobody tells it.
        stamp_ns: of the latest image, ``None`` before the first.
    """
    if stamp_ns is not None and now_ns == 0:
        return "use_sim_time is set, but nothing comes on /clock: play the bag with --clock"
    age = 0.0 if stamp_ns is None else (now_ns - stamp_ns) / 1e9
    if abs(age) < HOUR_S:
        return ""
    return (
        f"image stamps are {abs(age) / HOUR_S:.1f} h off the node's clock: "
        "set use_sim_time and play the bag with --clock"
    )


def drops(counts: Counter[str]) -> tuple[list[str], list[int]]:
    """Return drop reasons as identifiers (``no_pose``) and their counts, most frequent first."""
    items = [(reason.replace(" ", "_"), count) for reason, count in counts.most_common() if count]
    return [reason for reason, _ in items], [count for _, count in items]


def map_status(state: MapState, world: str, now_ns: int) -> MapStatus:
    """Return a status with what ``state`` holds; the node fills in its input side."""
    status = MapStatus(header=header(world, now_ns), map_version=state.version)
    status.stage, status.progress = state.stage, state.fraction if state.stage else math.nan
    status.keyframes, status.cloud_points = state.keyframes, state.points
    status.gaussians, status.loss = state.gaussians, finite(state.loss)
    status.stage_names = list(state.seconds)
    status.stage_seconds = [float(value) for value in state.seconds.values()]
    status.memory_bytes, status.worker_memory_bytes = memory_bytes(), state.worker_memory
    status.gpu_memory_bytes = state.gpu_memory
    status.submaps, status.submaps_on_disk = state.submaps
    status.synthesis = state.synthesis
    return status
