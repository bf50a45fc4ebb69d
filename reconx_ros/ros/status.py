"""What the node tells about itself: ``~/status``, ``/diagnostics``, and what it misses."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from reconx_msgs.msg import MapStatus

from reconx_ros.ros.link_replies import Activity, MapUpdate
from reconx_ros.ros.messages import finite, header
from reconx_ros.ros.resources import memory_bytes

HOUR_S = 3600.0
SILENCE_S = 5.0
"""Seconds without input after which the user is told."""


@dataclass
class MapState:
    """The map and the worker as last heard of.

    Attributes:
        seconds: that the last published map took, by stage.
    """

    version: int = 0
    keyframes: int = 0
    points: int = 0
    gaussians: int = 0
    loss: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    stage: str = ""
    fraction: float = 0.0
    worker_memory: int = 0
    gpu_memory: int = 0
    submaps: tuple[int, int] = (0, 0)
    synthesis: str = ""
    geometry: str = ""
    pruned: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    _spent: dict[str, float] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def map_came(self, update: MapUpdate) -> None:
        """Take note of a map."""
        self.version += 1
        self.keyframes, self.loss = len(update.views), update.loss
        self.points, self.gaussians = update.points.count, update.gaussians.count
        self.synthesis, self.geometry, self.pruned = update.synthesis, update.geometry, update.pruned
        before, self._spent, self.submaps = self._spent, update.seconds, update.submaps
        self.seconds = {stage: _since(before.get(stage, 0.0), now) for stage, now in self._spent.items()}

    def keyframe_came(self, name: str) -> None:
        """Take note of a keyframe that is in the map, which may not have been given out yet.

        A new worker takes in anew what the one before had; none of these counts twice.
        """
        new = name not in self._names
        self._names.add(name)
        self.keyframes += new
        self.taken += new

    def activity_came(self, activity: Activity) -> None:
        """Take note of what the worker is doing."""
        self.stage, self.fraction = activity.stage, activity.fraction
        self.worker_memory = activity.memory_bytes or self.worker_memory
        self.gpu_memory = activity.gpu_bytes

    def reset(self) -> None:
        """Forget the map; the version goes on counting."""
        self.keyframes = self.points = self.gaussians = 0
        self._names.clear()
        self.loss, self.seconds, self._spent, self.submaps = None, {}, {}, (0, 0)
        self.synthesis, self.geometry, self.pruned = "", "", {}

    @property
    def details(self) -> dict[str, object]:
        """What diagnostics tell of the map beside what the status says."""
        return {
            "geometry": self.geometry or "none yet",
            **{f"pruned: {reason}": count for reason, count in self.pruned.items()},
        }


def _since(before: float, now: float) -> float:
    """Return what a count has grown by; a new worker counts from 0."""
    return now - before if now >= before else now


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


class SilenceWatch:
    """Notices that an input has brought nothing for ``SILENCE_S`` seconds.

    What never brought anything is worth saying again and again; what has fallen silent, such as a bag
    that has ended, once.
    """

    def __init__(self, needed: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard = dict.fromkeys(needed, (0, clock()))
        self._told: list[str] = []

    def silent(self, received: Counter[str]) -> list[str]:
        """Return the needed inputs that have been silent for too long."""
        now = self._clock()
        for kind, (count, _) in self._heard.items():
            if received[kind] != count:
                self._heard[kind] = (received[kind], now)
        found = [kind for kind, (_, at) in self._heard.items() if now - at >= SILENCE_S]
        self._told = [kind for kind in self._told if kind in found]
        return found

    def news(self, received: Counter[str]) -> list[str]:
        """Return the silent inputs where that is worth a line."""
        found = self.silent(received)
        worth = any(kind not in self._told or received[kind] == 0 for kind in found)
        return found if worth else []

    def told(self, silent: list[str]) -> None:
        """Note that a line was written about these."""
        self._told = list(silent)


def silence_line(
    silent: list[str],
    topics: Mapping[str, str],
    received: Counter[str],
    mode: str,
    available: Mapping[str, list[str]],
) -> str:
    """Return the line that says which inputs bring nothing and what could be used instead.

    Args:
        silent: inputs that bring nothing.
        topics: topic names of every input.
        received: messages by input.
        mode: how images are matched, for the reader.
        available: names of existing topics of the right type, by silent input.
    """
    counts = ", ".join(f"{kind} on {topic}: {received[kind]}" for kind, topic in topics.items())
    found = "; ".join(
        f"{kind}: {', '.join(available.get(kind.rpartition('/')[2], [])) or 'none'}" for kind in silent
    )
    missing = " and ".join(silent)
    return (
        f"no {missing} in {SILENCE_S:g} s. Messages so far: {counts} ({mode}). "
        f"Topics of the right type: {found}"
    )


def silence_warning(silent: list[str]) -> list[str]:
    """Return a warning that inputs bring nothing now, for whoever watches the status."""
    return [f"no {' and '.join(silent)} in {SILENCE_S:g} s"] if silent else []


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


def diagnostics(status: MapStatus, name: str, details: Mapping[str, object]) -> DiagnosticArray:
    """Return ``status`` as diagnostics: a warning where there are warnings, an error without a worker.

    Args:
        status: to be told.
        name: of the node.
        details: further values by what they are.
    """
    level, message = _verdict(status)
    values = {**_values(status), **details}
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    entry = DiagnosticStatus(
        level=level, name=f"{name}: map", message=message, hardware_id=name, values=pairs
    )
    return DiagnosticArray(header=status.header, status=[entry])


def _verdict(status: MapStatus) -> tuple[bytes, str]:
    """Return the level of the whole and the one thing to know."""
    if status.link == "broken":
        return DiagnosticStatus.WARN, "the link to the worker is broken; keyframes are kept"
    if status.worker in ("lost", "stopped"):
        return DiagnosticStatus.ERROR, f"worker {status.worker}"
    if status.warnings:
        return DiagnosticStatus.WARN, status.warnings[0]
    return DiagnosticStatus.OK, status.state


def _values(status: MapStatus) -> dict[str, object]:
    """Return what a person who looks after the robot wants to see."""
    return {
        "state": status.state,
        "stage": status.stage or "none",
        "worker": status.worker,
        "frames received": status.frames_received,
        "image rate (Hz)": f"{status.image_rate_hz:.1f}",
        "depth rate (Hz)": f"{status.depth_rate_hz:.1f}",
        "stamp age (s)": f"{status.stamp_age_s:.3f}",
        "queue": status.queue,
        "keyframes": status.keyframes,
        "points": status.cloud_points,
        "gaussians": status.gaussians,
        "map version": status.map_version,
        "loss": f"{status.loss:.4f}",
        "submaps": f"{status.submaps}, of which {status.submaps_on_disk} on disk",
        "synthesis": status.synthesis or "none yet",
        "corrections": status.corrections,
        "keyframe rate (Hz)": f"{status.keyframe_rate_hz:.2f}",
        "map rate (Hz)": f"{status.map_rate_hz:.2f}",
        "TF failures": status.tf_failures,
        "time jumps": status.time_jumps,
        "worker restarts": status.worker_restarts,
        "link": status.link,
        "link out (kbit/s)": f"{status.link_out_bps / 1e3:.0f}",
        "link in (kbit/s)": f"{status.link_in_bps / 1e3:.0f}",
        "link waiting": status.link_waiting,
        **{
            f"stage {n} (s)": f"{s:.2f}"
            for n, s in zip(status.stage_names, status.stage_seconds, strict=True)
        },
        "GPU memory (MB)": status.gpu_memory_bytes // 2**20,
        "memory (MB)": status.memory_bytes // 2**20,
        "worker memory (MB)": status.worker_memory_bytes // 2**20,
        **{f"dropped: {r}": c for r, c in zip(status.drop_reasons, status.drop_counts, strict=True)},
    }
