"""No prior on faith: each is measured on the run's own keyframes, left out one at a time.

A contender films a keyframe from the other ones. Its colours, brought to the keyframe's exposure by a gain
and a bias a channel, are compared with the photo, in holes (no other keyframe shows the pixel) and where
covered. Two contenders are compared on the hole pixels of the keyframes that both speak of. The winner is
used, and how often it was right sets how far its confidence is believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from reconx_ros.diffusion.look import Floats, Look, Mask, mean
from reconx_ros.diffusion.protocol import Synthesizer
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.progress import Progress
from reconx_ros.structure.config import SHORT_CLIP
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

POINT_STRIDE = 4


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
        known = bool(len(self.right))
        return {
            "holes_db": mean([each.holes_db for each in looks]),
            "covered_db": mean([each.covered_db for each in looks]),
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
    return Look.of(frames[-1], references[number]) if len(frames) == len(path) else None


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
    return mean([one.better(other) for one, other in _both(first, second)])


def mixed_gain(first: Trial, second: Trial) -> float | None:
    """Return by how many dB ``second`` gets better where ``first`` is mixed in, in the same holes."""
    return mean([one.mixed_in(other) for one, other in _both(first, second)])


def _both(first: Trial, second: Trial) -> list[tuple[Look, Look]]:
    return [(first.looks[at], second.looks[at]) for at in first.looks if at in second.looks]


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


def _joined(parts: Sequence[NDArray[Any]], kind: DTypeLike) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)
