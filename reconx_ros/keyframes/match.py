"""Colour and depth images are matched by their stamps, in a stream, with a stated slop."""

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Colour = TypeVar("Colour")
Depth = TypeVar("Depth")

DepthUse = Literal["required", "optional", "none"]


@dataclass(frozen=True)
class Match(Generic[Colour, Depth]):
    """A colour image and the depth image that goes with it.

    Attributes:
        stamp_ns: stamp of the colour image.
        colour: what was pushed as colour.
        depth: what was pushed as depth, ``None`` where there is none within the slop.
    """

    stamp_ns: int
    colour: Colour
    depth: Depth | None


class StampMatcher(Generic[Colour, Depth]):
    """Pairs two streams of images one to one, in order, by nearest stamp.

    Colour images are decided in order of stamp. Each takes the nearest depth image that is free and
    within the slop (the earlier of two equally near), unless the next colour image is nearer to it.
    A decision waits until the depth stream, and where it matters the colour stream, has passed it,
    so the pairs do not depend on how the two streams interleave. What waits is bounded.

    Args:
        slop_ns: largest difference of stamps of a pair, nanoseconds.
        capacity: most images that wait in either stream; the oldest leaves.
        depth: ``required`` drops a colour image without depth, ``optional`` gives it out with
            ``None``, ``none`` gives out every colour image at once.

    Attributes:
        dropped: number of images dropped, by reason.
    """

    def __init__(self, slop_ns: int, capacity: int = 30, depth: DepthUse = "required") -> None:
        self.dropped: Counter[str] = Counter()
        self._slop = slop_ns
        self._capacity = capacity
        self._use = depth
        self.clear()

    def clear(self) -> None:
        """Forget what waits (after a jump in time); ``dropped`` is kept."""
        self._colours: list[tuple[int, int, Colour]] = []
        self._depths: list[tuple[int, int, Depth]] = []
        self._ready: list[Match[Colour, Depth]] = []
        self._decided_colour: int | None = None
        self._decided_depth: int | None = None
        self._count = 0

    def push_colour(self, stamp_ns: int, item: Colour) -> None:
        """Add a colour image."""
        if self._late(stamp_ns, self._decided_colour):
            self.dropped["colour out of order"] += 1
        elif any(stamp == stamp_ns for stamp, _, _ in self._colours):
            self.dropped["colour stamp repeated"] += 1
        elif self._use == "none":
            self._decided_colour = stamp_ns
            self._ready.append(Match(stamp_ns, item, None))
        else:
            insort(self._colours, (stamp_ns, self._next(), item))
            self._decide(ended=False)
            if len(self._colours) > self._capacity:
                self._leave_alone()

    def push_depth(self, stamp_ns: int, item: Depth) -> None:
        """Add a depth image."""
        if self._use == "none":
            self.dropped["depth not wanted"] += 1
        elif self._late(stamp_ns, self._decided_depth):
            self.dropped["depth out of order"] += 1
        elif any(stamp == stamp_ns for stamp, _, _ in self._depths):
            self.dropped["depth stamp repeated"] += 1
        else:
            insort(self._depths, (stamp_ns, self._next(), item))
            self._decide(ended=False)
            if len(self._depths) > self._capacity:
                self._drop_depths(1)

    def pop(self) -> list[Match[Colour, Depth]]:
        """Return the pairs decided since the last call, in order of stamp."""
        ready, self._ready = self._ready, []
        return ready

    def flush(self) -> list[Match[Colour, Depth]]:
        """Decide everything that waits, as both streams have ended, and return the pairs."""
        self._decide(ended=True)
        self._drop_depths(len(self._depths))
        return self.pop()

    def _next(self) -> int:
        """Return a running number, so that sorting never compares images."""
        self._count += 1
        return self._count

    @staticmethod
    def _late(stamp: int, decided: int | None) -> bool:
        return decided is not None and stamp <= decided

    def _decide(self, ended: bool) -> None:
        """Decide colour images from the oldest on, as far as what has arrived allows."""
        while self._colours:
            stamp = self._colours[0][0]
            if not ended and not (self._depths and self._depths[-1][0] >= stamp):
                return
            choice = self._nearest(stamp)
            later = choice is not None and self._depths[choice][0] > stamp
            if later and not ended and len(self._colours) == 1:
                return  # the next colour image may be nearer
            if choice is None:
                self._leave_alone()
            else:
                self._pair(choice)

    def _nearest(self, stamp: int) -> int | None:
        """Return the index of the depth image the oldest colour image takes."""
        after = bisect_left(self._depths, (stamp,))
        best: tuple[int, int] | None = None
        for index in (after - 1, after):
            if 0 <= index < len(self._depths):
                distance = abs(self._depths[index][0] - stamp)
                nearer = best is None or distance < best[0]
                if distance <= self._slop and nearer and not self._next_is_nearer(index, distance):
                    best = (distance, index)
        return None if best is None else best[1]

    def _next_is_nearer(self, index: int, distance: int) -> bool:
        return len(self._colours) > 1 and abs(self._depths[index][0] - self._colours[1][0]) < distance

    def _pair(self, index: int) -> None:
        """Give out the oldest colour image with a depth image; older depth images are left over."""
        stamp, _, colour = self._colours.pop(0)
        self._drop_depths(index)
        depth_stamp, _, depth = self._depths.pop(0)
        self._decided_colour, self._decided_depth = stamp, depth_stamp
        self._ready.append(Match(stamp, colour, depth))

    def _leave_alone(self) -> None:
        """Decide that the oldest colour image has no depth."""
        stamp, _, colour = self._colours.pop(0)
        self._decided_colour = stamp
        if self._use == "optional":
            self._ready.append(Match(stamp, colour, None))
        else:
            self.dropped["colour without depth"] += 1

    def _drop_depths(self, count: int) -> None:
        if count:
            self.dropped["depth without colour"] += count
            self._decided_depth = self._depths[count - 1][0]
            del self._depths[:count]
