"""Frames and when each was seen: what is joined to what, and why a transform cannot be given."""

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from reconx_ros.errors import SourceError


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
class Track:
    """When a child was seen in its parent: stamps (ns) in order."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)

    def place(self, stamp_ns: int) -> tuple[int, bool]:
        """Return where a stamp belongs, and whether it is there already."""
        if not self.stamps or stamp_ns > self.stamps[-1]:
            return len(self.stamps), False
        at = bisect_left(self.stamps, stamp_ns)
        return at, self.stamps[at] == stamp_ns

    def older(self, stamp_ns: float) -> int:
        """Return how many of the first stamps to drop so that all before ``stamp_ns`` are gone.

        In blocks, so that dropping costs O(1) for each stamp on average.
        """
        old = bisect_left(self.stamps, stamp_ns)
        return old if old > 32 and old > len(self.stamps) // 2 else 0

    def check(self, child: str, stamp_ns: int, max_gap_ns: float) -> tuple[int, bool]:
        """Return the index of the first stamp not before ``stamp_ns`` and whether it is the same.

        Raises:
            TransformError: ``stamp_ns`` is outside the track, or in a gap too wide.
        """
        after, exact = self.place(stamp_ns)
        if exact or self.static:
            return after, True
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
        return after, False


Edge = TypeVar("Edge", bound=Track)


class FrameGraph(Generic[Edge]):
    """Frames joined to their parents; each child has one, as in tf2. Not safe for threads by itself.

    There are no loops, as long as nothing is joined of which ``loop`` says that it closes one.

    Attributes:
        edges: by child.
    """

    def __init__(self) -> None:
        self.edges: dict[str, Edge] = {}

    def frames(self) -> set[str]:
        """Return every frame seen."""
        return set(self.edges) | {edge.parent for edge in self.edges.values()}

    def path(self, frame: str) -> list[str]:
        """Return ``frame`` and its ancestors."""
        path = [frame]
        while (edge := self.edges.get(path[-1])) is not None:
            path.append(edge.parent)
        return path

    def loop(self, parent: str, child: str) -> str:
        """Return a line where joining the two would close a loop: ``child`` is above ``parent`` already."""
        path = self.path(parent)
        if child not in path:
            return ""
        there = " -> ".join(reversed(path[: path.index(child) + 1]))
        return f"transform {parent} -> {child} closes a loop: {there} is there already"

    def branches(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Return ``target`` and ``source`` with their ancestors, each up to below where they meet.

        Raises:
            TransformError: they never meet.
        """
        up, down = self.path(source), self.path(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise self._missing(target, source)
        return down[: down.index(common)], up[: up.index(common)]

    def connected(self, target: str, source: str) -> bool:
        """Return whether the frames are joined at all, at whatever time."""
        return bool(set(self.path(target)) & set(self.path(source)))

    def newest(self, target: str, source: str) -> int | None:
        """Return the newest stamp (ns) at which all that joins two frames is known; ``None``: at any.

        Raises:
            TransformError: they are not joined.
        """
        between = (self.edges[frame] for branch in self.branches(target, source) for frame in branch)
        return min((edge.stamps[-1] for edge in between if not edge.static), default=None)

    def clear(self, keep_static: bool) -> None:
        """Forget everything, or the moving transforms only."""
        self.edges = {c: e for c, e in self.edges.items() if keep_static and e.static}

    def _missing(self, target: str, source: str) -> TransformError:
        known = self.frames()
        seen = ", ".join(sorted(known)) or "none"
        unknown = [frame for frame in (target, source) if frame not in known]
        reason = Reason.UNKNOWN_FRAME if unknown else Reason.NOT_CONNECTED
        return TransformError(reason, f"no transform {target} -> {source}; frames seen: {seen}")


def bare(frame: str) -> str:
    """Return a frame name without the leading slash of ROS 1."""
    return frame.lstrip("/")
