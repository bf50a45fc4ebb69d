"""From what a model expects to be wrong to the probability that it is right.

A generated pixel is right when its colour is within ``COLOUR_TOLERANCE`` of the truth (mean over
channels). For each contender a curve, fitted on held-out procedural scenes, maps what it says about a
pixel (the small model: the standard deviation it expects; the push-pull fill: how deep in a hole) to the
share of pixels that are right: isotonic regression, since saying worse must not mean more confidence.
A run measures the same on its own keyframes and shifts the curve in logits (``shifted``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SynthesisError

Floats = NDArray[np.float32]

COLOUR_TOLERANCE = 0.1
KNOTS = 24
LEAST, MOST = 0.02, 0.98
"""Probabilities are kept inside: nothing that is imagined is certain, either way."""

LARGEST_SHIFT = 3.0


@dataclass(frozen=True)
class Reliability:
    """A falling curve from what a contender says to the probability that it is right.

    Attributes:
        says: knots, rising.
        right: probability at each knot, falling.
        shift: added to the logits.
    """

    says: tuple[float, ...]
    right: tuple[float, ...]
    shift: float = 0.0

    def confidence(self, says: Floats) -> Floats:
        """Return the probability for each pixel, float32 of the same shape."""
        found = np.interp(says, self.says, self.right)
        logits = np.log(found / (1 - found)) + self.shift
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    def shifted(self, said: Floats, right: NDArray[np.bool_]) -> "Reliability":
        """Return the curve shifted so that its mean confidence on pixels is the share that was right.

        Args:
            said: [N] confidences this curve gave.
            right: [N], whether the colour was right. The shift is bounded: a few hundred pixels of a run
                do not overturn the curve.
        """
        wanted, low, high = float(right.mean()), -LARGEST_SHIFT, LARGEST_SHIFT
        logits = np.log(said / (1 - said))
        for _ in range(30):
            middle = (low + high) / 2
            mean = float((1 / (1 + np.exp(-logits - middle))).mean())
            low, high = (middle, high) if mean < wanted else (low, middle)
        return replace(self, shift=self.shift + (low + high) / 2)


def fit(says: Floats, right: NDArray[np.bool_]) -> Reliability:
    """Fit the curve to pixels: equally filled bins, then pool adjacent violators."""
    order = np.argsort(says, kind="stable")
    parts = [part for part in np.array_split(order, KNOTS) if len(part)]
    centres = [float(says[part].mean()) for part in parts]
    blocks: list[list[float]] = []  # sum, count
    for part in parts:
        blocks.append([float(right[part].sum()), float(len(part)), 1.0])
        while len(blocks) > 1 and blocks[-1][0] / blocks[-1][1] > blocks[-2][0] / blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    shares = [total / count for total, count, wide in blocks for _ in range(int(wide))]
    return Reliability(tuple(centres), tuple(float(np.clip(share, LEAST, MOST)) for share in shares))


def is_right(image: Floats, truth: Floats) -> NDArray[np.bool_]:
    """Return where two images [..., H, W, 3] agree within ``COLOUR_TOLERANCE``, [..., H, W]."""
    return np.asarray(np.abs(image - truth).mean(axis=-1) <= COLOUR_TOLERANCE)


def save(curves: Mapping[str, Reliability], file: Path) -> None:
    """Write curves by the name of the contender."""
    rows = {name: {"says": curve.says, "right": curve.right} for name, curve in curves.items()}
    file.write_text(json.dumps(rows, indent=1) + "\n")


def load(file: Path) -> dict[str, Reliability]:
    """Read what ``save`` wrote.

    Raises:
        SynthesisError: the file is missing or not such a file.
    """
    try:
        rows = json.loads(file.read_text())
        return {n: Reliability(tuple(row["says"]), tuple(row["right"])) for n, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise SynthesisError(
            f"{file} holds no reliability curves; `reconx train calibrate` makes it"
        ) from err
