"""Whether the map's confidence means something: in bins, how often what it says of a new view is right.

The confidence of a pixel of a held-out view is that of the Gaussians blended into it, over alpha. It is
right there when its depth is within ``DEPTH_TOLERANCE`` of the measured one and its colour, developed,
within ``COLOUR_TOLERANCE`` of the photo's (mean over channels). Calibrated means: of the pixels of
confidence c, a share c is right (a reliability diagram; Guo et al. 2017).
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import Drawing
from reconx_ros.diffusion.reliability import COLOUR_TOLERANCE
from reconx_ros.evaluation.metrics import Image
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.initialise import SH_C0
from reconx_ros.splatting.rasterize import render_view

DEPTH_TOLERANCE = 0.05
BINS = 10
SHOWN = 0.5
"""Alpha from which a pixel shows the map."""


@dataclass(frozen=True)
class Bin:
    """Pixels whose confidence is in one range.

    Attributes:
        low: of the range.
        high: of the range.
        pixels: in it.
        confidence: their mean.
        right: the share that is right.
        colour_error: mean absolute, in [0, 1].
        depth_error: median relative.
    """

    low: float
    high: float
    pixels: int
    confidence: float
    right: float
    colour_error: float
    depth_error: float


class Calibration:
    """Gathers the pixels of held-out views with measured depth."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float32]] = []

    def add(self, gaussians: GaussianMap, picture: Image, view: Keyframe, drawing: Drawing) -> None:
        """Take in a view; one without measured depth says nothing.

        Args:
            gaussians: the map.
            picture: [H, W, 3], the map developed for ``view``.
            view: the truth.
            drawing: rasterizer and device.
        """
        if view.depth is None:
            return
        confidence, depth, alpha = render_view(confidence_map(gaussians), view.camera, *drawing)
        known = (alpha >= SHOWN) & np.isfinite(view.depth) & np.isfinite(depth)
        colour = np.abs(picture - view.image.astype(np.float32) / np.float32(255)).mean(axis=-1)
        off = np.abs(depth[known] / view.depth[known] - 1)
        certain = confidence[known][:, 0] / alpha[known]
        self._rows.append(np.stack([certain, colour[known], off], axis=1).astype(np.float32))

    def bins(self) -> list[Bin]:
        """Return the bins that hold pixels, from low to high confidence."""
        rows = np.concatenate(self._rows) if self._rows else np.empty((0, 3), np.float32)
        place = np.clip((rows[:, 0] * BINS).astype(int), 0, BINS - 1)
        return [_bin(number, rows[place == number]) for number in range(BINS) if (place == number).any()]

    def json(self) -> dict[str, Any] | None:
        """Return bins and expected calibration error for JSON; ``None`` where nothing was measured."""
        bins = self.bins()
        if not bins:
            return None
        pixels = sum(one.pixels for one in bins)
        error = sum(one.pixels * abs(one.right - one.confidence) for one in bins) / pixels
        return {"expected_error": error, "pixels": pixels, "bins": [asdict(one) for one in bins]}


def confidence_map(gaussians: GaussianMap) -> GaussianMap:
    """Return the map with confidence as its colour."""
    grey = np.repeat(gaussians.confidence[:, None, None], 3, axis=2)
    return replace(gaussians, sh=((grey - 0.5) / SH_C0).astype(np.float32))


def _bin(number: int, rows: NDArray[np.float32]) -> Bin:
    right = (rows[:, 1] <= COLOUR_TOLERANCE) & (rows[:, 2] <= DEPTH_TOLERANCE)
    return Bin(
        low=number / BINS,
        high=(number + 1) / BINS,
        pixels=len(rows),
        confidence=float(rows[:, 0].mean()),
        right=float(right.mean()),
        colour_error=float(rows[:, 1].mean()),
        depth_error=float(np.median(rows[:, 2])),
    )
