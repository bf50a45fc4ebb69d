"""The two passes over splats, compiled."""

import math

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_RADIUS = 24.0  # pixels; nearer splats would cover the whole picture


def blend_splats(
    pixels: Floats,
    depth: Floats,
    radius: Floats,
    colors: NDArray[np.float32],
    size: tuple[int, int],
    thickness: float,
) -> tuple[Floats, Floats]:
    """Find the nearest depth at each pixel, then blend the splats on that surface.

    Args:
        pixels: [N, 2] centres (x, y).
        depth: [N] > 0.
        radius: [N] in pixels; a splat covers at least the pixel its centre lies in.
        colors: [N, 3].
        size: height, width.
        thickness: relative depth behind the nearest splat that is still the same surface.

    Returns:
        colour sums [H, W, 3] and weights [H, W], zero where nothing is.
    """
    nearest = np.full(size, np.inf)
    total, weight = np.zeros((*size, 3)), np.zeros(size)
    _splat(pixels, depth, radius, colors, thickness, nearest, total, weight, False)
    _splat(pixels, depth, radius, colors, thickness, nearest, total, weight, True)
    return total, weight


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _splat(
    pixels: Floats,
    depth: Floats,
    radius: Floats,
    colors: NDArray[np.float32],
    thickness: float,
    nearest: Floats,
    total: Floats,
    weight: Floats,
    blend: bool,
) -> None:
    height, width = nearest.shape
    for i in range(len(depth)):
        x, y = pixels[i]
        # sqrt(1/2) reaches the nearest pixel centre from anywhere.
        reach = min(max(radius[i], 0.7072), MAX_RADIUS)
        if x + reach < 0 or y + reach < 0 or x - reach > width - 1 or y - reach > height - 1:
            continue
        for row in range(max(0, math.ceil(y - reach)), min(height - 1, math.floor(y + reach)) + 1):
            for column in range(max(0, math.ceil(x - reach)), min(width - 1, math.floor(x + reach)) + 1):
                squared = (column - x) ** 2 + (row - y) ** 2
                if squared > reach * reach:
                    continue
                if not blend:
                    nearest[row, column] = min(nearest[row, column], depth[i])
                elif depth[i] <= nearest[row, column] * (1 + thickness):
                    share = math.exp(-2 * squared / (reach * reach))
                    weight[row, column] += share
                    for c in range(3):
                        total[row, column, c] += share * colors[i, c]
