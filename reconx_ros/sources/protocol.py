"""What every source gives: posed frames in time order, read one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from reconx_ros.keyframes.keyframe import Keyframe


@dataclass
class SourceReport:
    """What was read and what was not.

    Attributes:
        frames: frames given out so far.
        partial: whether the recording is damaged or cut and only its beginning was used.
        dropped: number of frames dropped, by reason.
        warnings: one line each, already shown to the user once.
    """

    frames: int = 0
    partial: bool = False
    dropped: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Source(Protocol):
    """Anything that can be read as frames; a context manager.

    Attributes:
        report: what was read so far.
        metric: whether poses are in metres.
        posed: whether frames can have poses at all.
    """

    report: SourceReport
    metric: bool
    posed: bool

    def __enter__(self) -> "Source":
        """Open the files."""

    def __exit__(self, *exception: object) -> None:
        """Close the files."""

    def frames(self) -> Iterator[Keyframe]:
        """Yield every frame with colour and intrinsics in time order.

        Images are undistorted and depth is registered to colour at full image size. A frame without
        a pose has ``posed`` false. Nothing is selected or reduced here.

        Raises:
            SourceError: nothing can be read; the message names what is there.
        """
