"""Training clips of a recording at any rate and speed: views are chosen by what they share, not counted."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from reconx_ros.diffusion.training.pairs import clip_of
from reconx_ros.diffusion.training.records import Record, record
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, overlap
from reconx_ros.simulation.clips import Clip
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.structure.reference import Reference

STILL = 0.98
"""Overlap with the frame before above which a frame says nothing new and is passed over."""

APART = 0.7
"""Overlap with the first reference at which a frame is the second one."""

BEYOND = 0.5
"""Overlap with the first reference at which a frame lies beyond the second one."""

LEAST = 0.3
"""Overlap below which two views have too little to do with each other."""

MOST = 64
"""Frames held at once."""


@dataclass(frozen=True, eq=False)
class _View:
    small: Reference
    footprint: Footprint


def recorded(
    source: Path, config: SourceConfig, size: tuple[int, int], frames: int = 1
) -> Iterator[Record]:
    """Yield training records of a recording, which is read once, a stretch of it held at a time.

    From every first reference on: the second is the next frame that shares at most ``APART`` of its view;
    one clip lies between the two, one from the second to the next frame that shares at most ``BEYOND``.
    Frames without pose or depth, and those in which nothing moved, are passed over.

    Args:
        source: a bag or a folder.
        config: its topics, frames and times.
        size: height, width to resample to.
        frames: of each clip; clips that have fewer are left out.

    Raises:
        SourceError: no clip can be made; the message says of how many frames.
    """
    made, seen = 0, count()
    with open_source(source, config) as opened:
        usable = (frame for frame in opened.frames() if frame.posed and frame.depth is not None)
        views = (_view(frame, size) for frame, _ in zip(usable, seen, strict=False))
        for clip in clips(views, frames):
            made += 1
            yield record(clip)
    if not made:
        raise SourceError(
            f"{source}: no {frames} of its {next(seen)} frames with pose and depth lie between or beyond "
            f"two that share {LEAST:.0%} to {APART:.0%} of their views: take fewer frames a clip, or a "
            "recording with more"
        )


def clips(views: Iterable[_View], frames: int) -> Iterator[Clip]:
    """Yield the clips of views in time order."""
    held: deque[_View] = deque()
    for view in views:
        if held and _shared(held[-1], view) > STILL:
            continue
        held.append(view)
        while len(held) > MOST or _shared(held[0], held[-1]) <= BEYOND:
            yield from _from_first(held, frames)
            held.popleft()
    while held:
        yield from _from_first(held, frames)
        held.popleft()


def _from_first(held: Sequence[_View], frames: int) -> Iterator[Clip]:
    views = list(held)
    shares = [_shared(views[0], view) for view in views]
    second = next((n for n, share in enumerate(shares) if share <= APART), None)
    if second is None or shares[second] < LEAST:
        return
    pair = (views[0].small, views[second].small)
    inner = second - 1
    if inner >= frames:
        chosen = [1 + int((n + 0.5) * inner / frames) for n in range(frames)]
        yield clip_of(pair, [views[at].small for at in chosen], extrapolated=False)
    last = next((n for n in range(second + 1, len(views)) if shares[n] <= BEYOND), None)
    if last is None or last - second < frames or _shared(views[second], views[last]) < LEAST:
        return
    chosen = [second + (n + 1) * (last - second) // frames for n in range(frames)]
    yield clip_of(pair, [views[at].small for at in chosen], extrapolated=True)


def _shared(first: _View, second: _View) -> float:
    return overlap(first.footprint, second.footprint)


def _view(frame: Keyframe, size: tuple[int, int]) -> _View:
    return _View(Reference.of_keyframe(frame).resized(*size), Footprint.of(frame))
