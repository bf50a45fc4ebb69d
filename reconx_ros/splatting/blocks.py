"""Which Gaussians a view may show, without looking at each of them.

Rows that follow each other came with one keyframe, pixel by pixel, and so lie near each other. A block of
them is one box, and a view is compared with boxes: a few thousand of them stand for a million Gaussians.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.frustum import boxes_in_view
from reconx_ros.splatting import model
from reconx_ros.splatting.gaussians import Floats

WIDTH = 512
"""Rows of a block."""

SIGMAS = float(np.sqrt(2 * np.log(1 / model.ALPHA_MIN)))
"""Standard deviations up to which the most opaque Gaussian is drawn."""

MARGIN = 3.0
"""Pixels beyond the image: the low-pass filter widens by less than two, half a pixel is rounding."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """B boxes round the means of ``width`` consecutive Gaussians each, the last one of fewer.

    Attributes:
        count: Gaussians in all.
        low: [B, 3] float64 smallest corners.
        high: [B, 3] float64 largest corners.
        size: [B] float64, largest standard deviation of each.
        width: rows of a block.
    """

    count: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    size: NDArray[np.float64]
    width: int = WIDTH

    @staticmethod
    def of(means: Floats, log_scales: Floats, width: int = WIDTH) -> "Blocks":
        """Return those of Gaussians with ``means`` [N, 3] and ``log_scales`` [N, 3]."""
        count = -(-len(means) // width)
        low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
        size = np.full(count, -np.inf)
        _measure(np.ascontiguousarray(means), np.ascontiguousarray(log_scales), width, low, high, size)
        return Blocks(len(means), low, high, np.exp(size), width)

    def extended(self, means: Floats, log_scales: Floats) -> "Blocks":
        """Return those of all ``means`` [N, 3], of which the first are those of before."""
        whole = self.count // self.width
        new = Blocks.of(means[whole * self.width :], log_scales[whole * self.width :], self.width)
        return Blocks(
            len(means),
            np.concatenate([self.low[:whole], new.low]),
            np.concatenate([self.high[:whole], new.high]),
            np.concatenate([self.size[:whole], new.size]),
            self.width,
        )

    def seen(self, camera: Camera, far: float = np.inf) -> NDArray[np.bool_]:
        """Return which blocks [B] may hold a Gaussian that ``camera`` shows, up to the depth ``far``.

        The others surely hold none.
        """
        tangents = np.abs(model.tangent_limits(camera)).reshape(2, 2).max(axis=1)
        across, down = (SIGMAS * np.hypot(1, tangent) * self.size for tangent in tangents)
        depth = model.NEAR, far
        return boxes_in_view(camera, self.low, self.high, MARGIN, (across, down), depth)

    def rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the rows of the ``chosen`` blocks (mask [B]), ascending."""
        rows = (np.flatnonzero(chosen)[:, None] * self.width + np.arange(self.width)).ravel()
        return rows[: np.searchsorted(rows, self.count)]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _measure(
    means: Floats,
    log_scales: Floats,
    width: int,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    size: NDArray[np.float64],
) -> None:
    """Fill in the corners and the largest log scale of each block."""
    for row in range(len(means)):
        block = row // width
        for axis in range(3):
            low[block, axis] = min(low[block, axis], means[row, axis])
            high[block, axis] = max(high[block, axis], means[row, axis])
            size[block] = max(size[block], log_scales[row, axis])
