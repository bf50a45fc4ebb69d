"""What is known of a pair of views, wherever it comes from: DUSt3R, a depth camera, stereo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError

Floats = NDArray[np.float32] | NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class PairPointMaps:
    """Pointmaps of two views, both in the camera frame of the first (DUSt3R, section 3).

    Attributes:
        first: index of the view in whose camera frame the points are.
        second: index of the other view.
        points: [H, W, 3] float32 or float16 of the first view's pixels, then of the second's; NaN where
            unknown.
        confidence: [H, W] float32 or float16 of each, C >= 1.
        metric: whether the points are in units of the world already; otherwise up to a scale.
    """

    first: int
    second: int
    points: tuple[Floats, Floats]
    confidence: tuple[Floats, Floats]
    metric: bool = False

    @property
    def views(self) -> tuple[int, int]:
        """First and second."""
        return self.first, self.second

    @property
    def score(self) -> float:
        """Mean confidence of the first view times that of the second; C - 1 counts, unknown as 0."""
        return float(np.prod([np.mean(c, dtype=np.float64) - 1.0 for c in self.confidence]))


def check_pairs(pairs: Sequence[PairPointMaps], sizes: Sequence[tuple[int, int]]) -> None:
    """Check that ``pairs`` fit views of ``sizes`` (height, width).

    Raises:
        GeometryError: there is none, a view does not exist or pairs with itself, or a size differs.
    """
    if not pairs:
        raise GeometryError("there is no pair of views to align; at least one is needed")
    for pair in pairs:
        name = f"pair ({pair.first}, {pair.second})"
        if pair.first == pair.second or not all(0 <= view < len(sizes) for view in pair.views):
            raise GeometryError(f"{name}: two different views of 0 to {len(sizes) - 1} are needed")
        for view, points, confidence in zip(pair.views, pair.points, pair.confidence, strict=True):
            if points.shape != (*sizes[view], 3) or confidence.shape != sizes[view]:
                raise GeometryError(
                    f"{name}: points of {points.shape} and confidence of {confidence.shape} must be of the "
                    f"size of view {view}, {sizes[view]}"
                )
