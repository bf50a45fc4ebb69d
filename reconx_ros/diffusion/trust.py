"""No prior on faith: each is measured on the run's own keyframes, left out one at a time.

A contender films a keyframe from the other ones. Its colours, brought to the keyframe's exposure by a gain
and a bias a channel, are compared with the photo, in holes (no other keyframe shows the pixel) and where
covered. The winner is used, and how often it was right sets how far its confidence is believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reconx_ros.diffusion.protocol import GeneratedFrame, Synthesizer
from reconx_ros.diffusion.reliability import is_right
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.progress import Progress, Silent
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

FEWEST = 100
"""Pixels of a region below which a keyframe says nothing about it."""

LEAST_SPREAD = 1e-4
FLOOR = 1e-6
POINT_STRIDE = 4

Floats = NDArray[np.float32]


@dataclass(eq=False)
class Trial:
    """What a contender got.

    Attributes:
        holes_db: PSNR of each keyframe in its holes, NaN where they are too few.
        covered_db: the same where covered.
        confidence: of each pixel in holes, as the contender said.
        right: whether its colour was right.
    """

    holes_db: list[float] = field(default_factory=list)
    covered_db: list[float] = field(default_factory=list)
    confidence: list[Floats] = field(default_factory=list)
    right: list[NDArray[np.bool_]] = field(default_factory=list)

    def json(self) -> dict[str, float | int | None]:
        """Return means for the report; ``None`` where nothing was measured."""
        rows = {"holes_db": _mean(self.holes_db), "covered_db": _mean(self.covered_db)}
        pixels = sum(len(each) for each in self.right)
        said = float(np.concatenate(self.confidence).mean()) if pixels else None
        true = float(np.concatenate(self.right).mean()) if pixels else None
        return {**rows, "keyframes": len(self.holes_db), "confidence": said, "right": true}


def trial(contender: Synthesizer, references: Sequence[Reference], count: int, progress: Progress) -> Trial:
    """Let ``contender`` film up to ``count`` of the references from the others."""
    found = Trial()
    for number in left_out(len(references), count):
        if progress.cancelled():
            break
        others = [each for at, each in enumerate(references) if at != number]
        path = Trajectory((references[number].camera,))
        for frame in contender.generate(others, cloud_of(others), path, Silent()):
            _compare(frame, references[number], found)
    return found


def left_out(references: int, count: int) -> list[int]:
    """Return the numbers of up to ``count`` references, spread evenly, that a trial asks about."""
    return sorted({round(x) for x in np.linspace(0, references - 1, count)})


def gain(first: Trial, second: Trial) -> float:
    """Return by how many dB ``first`` is better in holes, mean over keyframes; 0 where not known."""
    pairs = zip(first.holes_db, second.holes_db, strict=False)
    known = [a - b for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
    return float(np.mean(known)) if known else 0.0


def cloud_of(references: Sequence[Reference]) -> PointCloud:
    """Return the points of the references, every fourth row and column, as a cloud."""
    points, colors, confidence = [], [], []
    for each in references:
        few = (slice(None, None, POINT_STRIDE),) * 2
        known = np.isfinite(each.depth[few])
        points.append(each.camera.unproject(each.depth)[few][known])
        colors.append(each.image[few][known])
        confidence.append(1 / np.maximum(1 - each.confidence[few][known], 1e-3))
    rows = np.concatenate(points).astype(np.float32)
    return PointCloud(
        points=rows,
        colors=np.concatenate(colors),
        normals=np.zeros_like(rows),
        confidence=np.concatenate(confidence).astype(np.float32),
        provenance=np.full(len(rows), OBSERVED, np.uint8),
        views=np.ones(len(rows), np.int32),
    )


def _compare(frame: GeneratedFrame, truth: Reference, into: Trial) -> None:
    photo = _unit(truth.resized(frame.camera.height, frame.camera.width).image)
    picture = _exposed(_unit(frame.image), photo, frame.seen)
    square = np.square(picture - photo).mean(axis=-1)
    holes = ~frame.seen
    into.holes_db.append(_decibels(square[holes]))
    into.covered_db.append(_decibels(square[frame.seen]))
    into.confidence.append(frame.confidence[holes])
    into.right.append(is_right(picture, photo)[holes])


def _unit(image: NDArray[np.uint8]) -> Floats:
    return image.astype(np.float32) / np.float32(255)


def _exposed(picture: Floats, photo: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Bring ``picture`` to the exposure of ``photo``, by least squares over the pixels both show."""
    if np.count_nonzero(seen) < FEWEST:
        return picture
    given, wanted = picture[seen], photo[seen]
    off, away = given - given.mean(0), wanted - wanted.mean(0)
    gain_ = (off * away).mean(0) / np.maximum(np.square(off).mean(0), LEAST_SPREAD)
    return np.asarray(np.clip((picture - given.mean(0)) * gain_ + wanted.mean(0), 0, 1), np.float32)


def _decibels(square: Floats) -> float:
    return float(-10 * np.log10(square.mean() + FLOOR)) if len(square) >= FEWEST else float("nan")


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None
