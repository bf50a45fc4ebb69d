"""The map and the worker as the node last heard of them."""

from dataclasses import dataclass, field

from reconx_ros.ros.link_replies import Activity, MapUpdate


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
