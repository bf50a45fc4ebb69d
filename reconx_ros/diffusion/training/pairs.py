"""Examples from a recording with depth, to measure on: two frames as references, a third to predict."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.diffusion.training.records import Record, record
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.simulation.clips import Clip, Floats
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.structure.reference import Reference

STEP = 6
"""Frames between the two references."""

TARGETS = {"interpolated": STEP // 2, "extrapolated": 2 * STEP}
"""Where the target lies, in frames after the first reference."""


def real_records(
    source: Path, kind: str, size: tuple[int, int], config: SourceConfig | None = None
) -> list[Record]:
    """Return a record for every frame i of a recording: references i and i + 6, target i + 3 or i + 12.

    These are for measuring; to train on, ``recorded.py`` chooses frames by what they share.

    Args:
        source: a bag or a folder.
        kind: a name in ``TARGETS``.
        size: height, width to resample to.
        config: topics, frames and times of the recording; found by type where not given.

    Raises:
        SourceError: the recording has too few frames with pose and depth.
    """
    return [record(clip) for clip in real_clips(source, kind, size, config=config)]


def real_clips(
    source: Path,
    kind: str,
    size: tuple[int, int],
    frames: int = 1,
    every: int = 1,
    config: SourceConfig | None = None,
) -> list[Clip]:
    """Return clips of consecutive targets, as ``real_records`` does of single ones.

    Args:
        source: a bag or a folder.
        kind: a name in ``TARGETS``, where the middle of a clip lies.
        size: height, width to resample to.
        frames: targets of a clip, an odd number up to 5, so that none is a reference.
        every: frames between the first references of two clips.
        config: topics, frames and times of the recording; found by type where not given.

    Raises:
        SourceError: the recording has too few frames with pose and depth.
    """
    with open_source(source, config or SourceConfig()) as opened:
        usable = (frame for frame in opened.frames() if frame.posed and frame.depth is not None)
        views = [_small(frame, size) for frame in usable]
    found = list(_clips(views, TARGETS[kind], frames, every))
    if not found:
        raise SourceError(f"{source} has {len(views)} frames with pose and depth; {2 * STEP + 1} is least")
    return found


def clip_of(pair: Sequence[Reference], targets: Sequence[Reference], *, extrapolated: bool) -> Clip:
    """Return the clip of ``targets`` to be predicted from ``pair``, all of one size and one camera."""
    return Clip(
        *_stacked(pair),
        targets[0].camera.intrinsics.copy(),
        *_stacked(targets),
        np.array([extrapolated] * len(targets)),
    )


def _small(frame: Keyframe, size: tuple[int, int]) -> Reference:
    return Reference.of_keyframe(frame).resized(*size)


def _clips(views: Sequence[Reference], target: int, frames: int, every: int) -> Iterator[Clip]:
    half = frames // 2
    for first in range(0, len(views) - max(STEP, target + half), every):
        pair = (views[first], views[first + STEP])
        wanted = views[first + target - half : first + target + half + 1]
        yield clip_of(pair, wanted, extrapolated=target > STEP)


def _stacked(views: Sequence[Reference]) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Return colours in [0, 1], depths and poses of views."""
    colors = np.stack([view.image for view in views]).astype(np.float32) / np.float32(255)
    poses = np.stack([view.camera.world_from_camera for view in views])
    return colors, np.stack([view.depth for view in views]), poses
