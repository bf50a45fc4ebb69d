"""Several cameras of one robot: each matches and selects for itself, the session sees them as one."""

from collections import Counter
from collections.abc import Mapping

from reconx_ros.ros.ingest import Ingest


class IngestGroup:
    """The inputs of every camera.

    Args:
        cameras: by name; the name of a single camera may be empty.
    """

    def __init__(self, cameras: Mapping[str, Ingest]) -> None:
        self.cameras = dict(cameras)

    @property
    def received(self) -> Counter[str]:
        """Messages by kind over all cameras, and by ``CAMERA/kind`` of each that has a name."""
        total: Counter[str] = Counter()
        for name, ingest in self.cameras.items():
            total += ingest.received
            if name:
                total.update({f"{name}/{kind}": count for kind, count in ingest.received.items()})
        return total

    @property
    def latest_ns(self) -> int | None:
        """Stamp of the newest colour image of any camera, ``None`` before the first."""
        return max((i.latest_ns for i in self.cameras.values() if i.latest_ns is not None), default=None)

    @property
    def jumps(self) -> int:
        """Times that time jumped back, as the camera saw it that saw most."""
        return max(ingest.jumps for ingest in self.cameras.values())

    @property
    def dropped(self) -> Counter[str]:
        """Frames dropped so far, by reason."""
        return sum((ingest.dropped for ingest in self.cameras.values()), Counter())

    @property
    def waiting(self) -> int:
        """Frames that wait for their pose."""
        return sum(ingest.waiting for ingest in self.cameras.values())

    @property
    def paused(self) -> bool:
        """Whether frames are ignored."""
        return any(ingest.paused for ingest in self.cameras.values())

    @paused.setter
    def paused(self, paused: bool) -> None:
        for ingest in self.cameras.values():
            ingest.paused = paused

    def advance(self) -> None:
        """Move on every frame that can be moved on; quick."""
        for ingest in self.cameras.values():
            ingest.advance()

    def reset(self) -> None:
        """Start anew: nothing waits, nothing was selected."""
        for ingest in self.cameras.values():
            ingest.reset()

    def moved(self) -> None:
        """Judge new views afresh."""
        for ingest in self.cameras.values():
            ingest.moved()

    def close(self) -> None:
        """Finish what is being unpacked and end the threads."""
        for ingest in self.cameras.values():
            ingest.close()
