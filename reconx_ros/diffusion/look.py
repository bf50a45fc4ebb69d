"""How a contender filmed one keyframe, beside the photo that was left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.reliability import is_right
from reconx_ros.structure.reference import Reference

FEWEST = 100
"""Pixels of a region below which a keyframe says nothing about it."""

LEAST_SPREAD = 1e-4
FLOOR = 1e-6

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Look:
    """How a contender filmed one keyframe.

    Attributes:
        off: [H, W, 3] its colours, brought to the photo's exposure, minus the photo's.
        right: [H, W], whether the colour was right.
        confidence: [H, W] as the contender said.
        seen: [H, W], whether another keyframe shows the pixel.
    """

    off: Floats
    right: Mask
    confidence: Floats
    seen: Mask

    @classmethod
    def of(cls, frame: GeneratedFrame, truth: Reference) -> "Look":
        """Compare ``frame`` with the photo taken there."""
        photo = _unit(truth.resized(frame.camera.height, frame.camera.width).image)
        picture = exposed(_unit(frame.image), photo, frame.seen)
        return cls(picture - photo, is_right(picture, photo), frame.confidence, frame.seen)

    @property
    def holes(self) -> Mask:
        """[H, W], what no other keyframe shows and the contender speaks of."""
        return ~self.seen & (self.confidence > 0)

    @property
    def holes_db(self) -> float:
        """PSNR in the holes; NaN where too few pixels say."""
        return decibels(self.off[self.holes])

    @property
    def covered_db(self) -> float:
        """PSNR of what other keyframes show; NaN where too few pixels say."""
        return decibels(self.off[self.seen])

    def better(self, other: "Look") -> float:
        """Return by how many dB it is better than ``other`` in holes both speak of; NaN where too few."""
        mine = decibels(self.off[self.holes & _sized(other.holes, self)])
        return mine - decibels(other.off[other.holes & _sized(self.holes, other)])

    def mixed_in(self, other: "Look") -> float:
        """Return by how many dB the mean of both is better than ``other`` alone, in the same holes."""
        both, there = other.holes & _sized(self.holes, other), other.off
        size = (there.shape[1], there.shape[0])
        mine = cv2.resize(self.off, size, interpolation=cv2.INTER_AREA)
        return decibels(((mine + there) / 2)[both]) - decibels(there[both])


def exposed(picture: Floats, photo: Floats, seen: Mask) -> Floats:
    """Bring ``picture`` [H, W, 3] to the exposure of ``photo``, by least squares over ``seen`` pixels."""
    if np.count_nonzero(seen) < FEWEST:
        return picture
    given, wanted = picture[seen], photo[seen]
    off, away = given - given.mean(0), wanted - wanted.mean(0)
    gain = (off * away).mean(0) / np.maximum(np.square(off).mean(0), LEAST_SPREAD)
    return np.asarray(np.clip((picture - given.mean(0)) * gain + wanted.mean(0), 0, 1), np.float32)


def decibels(off: Floats) -> float:
    """Return the PSNR of differences [N, 3]; NaN where there are too few."""
    return float(-10 * np.log10(np.square(off).mean() + FLOOR)) if len(off) >= FEWEST else float("nan")


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of those that are known; ``None`` where none is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _sized(mask: Mask, other: Look) -> Mask:
    """Return the nearest pixels of a mask [h, w] at the size of another look."""
    size = (other.seen.shape[1], other.seen.shape[0])
    resized = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized > 0)


def _unit(image: NDArray[np.uint8]) -> Floats:
    return image.astype(np.float32) / np.float32(255)
