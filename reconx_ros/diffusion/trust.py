"""No prior on faith: each is measured on the run's own keyframes, left out one at a time.

A contender films a keyframe from the other ones. Its colours, brought to the keyframe's exposure by a gain
and a bias a channel, are compared with the photo, in holes (no other keyframe shows the pixel) and where
covered. Two contenders are compared on the hole pixels of the keyframes that both speak of. The winner is
used, and how often it was right sets how far its confidence is believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from reconx_ros.diffusion.protocol import GeneratedFrame, Synthesizer
from reconx_ros.diffusion.reliability import is_right
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.progress import Progress
from reconx_ros.structure.config import SHORT_CLIP
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

FEWEST = 100
"""Pixels of a region below which a keyframe says nothing about it."""

LEAST_SPREAD = 1e-4
FLOOR = 1e-6
POINT_STRIDE = 4

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Look:
    """How a contender filmed one keyframe.

    Attributes:
        square: [H, W] squared difference from the photo, mean over the channels.
        right: [H, W], whether the colour was right.
        confidence: [H, W] as the contender said.
        seen: [H, W], whether another keyframe shows the pixel.
    """

    square: Floats
    right: Mask
    confidence: Floats
    seen: Mask

    @property
    def holes(self) -> Mask:
        """[H, W], what no other keyframe shows and the contender speaks of."""
        return ~self.seen & (self.confidence > 0)

    def holes_db(self, spoken_of: Mask | None = None) -> float:
        """Return the PSNR in the holes, of those in ``spoken_of`` [h, w] alone; NaN where too few."""
        holes = self.holes if spoken_of is None else self.holes & _sized(spoken_of, self.seen.shape)
        return _decibels(self.square[holes])


@dataclass(eq=False)
class Trial:
    """What a contender got.

    Attributes:
        looks: by the number of the keyframe; those it filmed.
    """

    looks: dict[int, Look] = field(default_factory=dict)

    def add(self, number: int, found: Look | None) -> None:
        """Note how keyframe ``number`` was filmed, if it was."""
        if found is not None:
            self.looks[number] = found

    @property
    def confidence(self) -> Floats:
        """[N] of each pixel in holes, as the contender said."""
        return _joined([look.confidence[look.holes] for look in self.looks.values()], np.float32)

    @property
    def right(self) -> Mask:
        """[N], whether its colour was right."""
        return _joined([look.right[look.holes] for look in self.looks.values()], np.bool_)

    def json(self) -> dict[str, float | int | None]:
        """Return means for the report; ``None`` where nothing was measured."""
        looks = self.looks.values()
        holes, covered = [each.holes_db() for each in looks], [_decibels(e.square[e.seen]) for e in looks]
        known = bool(len(self.right))
        return {
            "holes_db": _mean(holes),
            "covered_db": _mean(covered),
            "keyframes": len(self.looks),
            "confidence": float(self.confidence.mean()) if known else None,
            "right": float(self.right.mean()) if known else None,
        }


def look(
    contender: Synthesizer, references: Sequence[Reference], number: int, progress: Progress
) -> Look | None:
    """Let ``contender`` film reference ``number`` from the others; ``None`` where it did not get there."""
    if progress.cancelled():
        return None
    others = [each for at, each in enumerate(references) if at != number]
    path = _toward(references[number], others, contender.clip)
    frames = contender.generate(others, cloud_of(others), path, progress)
    return _compared(frames[-1], references[number]) if len(frames) == len(path) else None


def _toward(wanted: Reference, others: Sequence[Reference], clip: int) -> Trajectory:
    """Return the path to film: the camera itself, for video models a clip that ends there."""
    near = showing(others, wanted.camera, 1) if clip > SHORT_CLIP else []
    if not near or near[0].image.shape != wanted.image.shape:
        return Trajectory((wanted.camera,))
    return Trajectory(tuple(interpolate(near[0].camera, wanted.camera, clip)))


def left_out(references: int, count: int) -> list[int]:
    """Return the numbers of up to ``count`` references, spread evenly, that a trial asks about."""
    return sorted({round(x) for x in np.linspace(0, references - 1, count)})


def gain(first: Trial, second: Trial) -> float | None:
    """Return by how many dB ``first`` is better in holes both speak of, mean over keyframes that say."""
    both = [(first.looks[at], second.looks[at]) for at in first.looks if at in second.looks]
    gains = [one.holes_db(other.holes) - other.holes_db(one.holes) for one, other in both]
    return _mean(gains)


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


def _compared(frame: GeneratedFrame, truth: Reference) -> Look:
    photo = _unit(truth.resized(frame.camera.height, frame.camera.width).image)
    picture = _exposed(_unit(frame.image), photo, frame.seen)
    square = np.square(picture - photo).mean(axis=-1)
    return Look(square, is_right(picture, photo), frame.confidence, frame.seen)


def _sized(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Return the nearest pixels of a mask [h, w] for another size."""
    size = (shape[1], shape[0])
    other = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(other > 0)


def _joined(parts: Sequence[NDArray[Any]], kind: DTypeLike) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _unit(image: NDArray[np.uint8]) -> Floats:
    return image.astype(np.float32) / np.float32(255)


def _exposed(picture: Floats, photo: Floats, seen: Mask) -> Floats:
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
