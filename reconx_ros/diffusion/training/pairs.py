"""Examples from a recording with depth: two frames as references, a third to predict."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.diffusion.training.records import Record, record
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.simulation.clips import Clip
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.structure.reference import Reference

STEP = 6
"""Frames between the two references."""

TARGETS = {"interpolated": STEP // 2, "extrapolated": 2 * STEP}
"""Where the target lies, in frames after the first reference."""


def real_records(source: Path, kind: str, size: tuple[int, int]) -> list[Record]:
    """Return a record for every frame i of a recording: references i and i + 6, target i + 3 or i + 12.

    Args:
        source: a bag or a folder.
        kind: a name in ``TARGETS``.
        size: height, width to resample to.

    Raises:
        SourceError: the recording has too few frames with pose and depth.
    """
    with open_source(source, SourceConfig()) as opened:
        usable = (frame for frame in opened.frames() if frame.posed and frame.depth is not None)
        frames = [_small(frame, size) for frame in usable]
    found = [record(clip) for clip in _clips(frames, TARGETS[kind])]
    if not found:
        raise SourceError(f"{source} has {len(frames)} frames with pose and depth; {2 * STEP + 1} is least")
    return found


def _small(frame: Keyframe, size: tuple[int, int]) -> Reference:
    return Reference.of_keyframe(frame).resized(*size)


def _clips(frames: Sequence[Reference], target: int) -> Iterator[Clip]:
    for first in range(len(frames) - max(STEP, target)):
        pair = (frames[first], frames[first + STEP])
        wanted = frames[first + target]
        yield Clip(
            _unit(np.stack([each.image for each in pair])),
            np.stack([each.depth for each in pair]),
            np.stack([each.camera.world_from_camera for each in pair]),
            wanted.camera.intrinsics,
            _unit(wanted.image[None]),
            wanted.depth[None],
            wanted.camera.world_from_camera[None],
            np.array([target > STEP]),
        )


def _unit(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = images.astype(np.float32) / np.float32(255)
    return scaled
