"""Value and gradient of the image-gradient loss, in numba: rows of 3 W numbers as in ``loss.py``."""

from itertools import pairwise

import numpy as np
from numba import get_num_threads, prange
from numpy.typing import NDArray

from reconx_ros.splatting.cpu.compilation import kernel
from reconx_ros.splatting.cpu.loss import tripled
from reconx_ros.splatting.cpu.threads import KERNELS

Floats = NDArray[np.float32]
FAST = {"nsz", "arcp", "contract", "afn", "reassoc"}


class Level:
    """The memory of one level of the pyramid: weights of its pixels, residual, and its slope."""

    def __init__(self, height: int, width: int) -> None:
        self.weight, self.residual, self.slope = (
            np.empty((height, 3 * width), np.float32) for _ in range(3)
        )
        self.sums = np.zeros(get_num_threads(), np.float64)


def pyramid(height: int, width: int, levels: int) -> list[Level]:
    """Return the memory of at most ``levels`` levels for one image size; a level halves the size."""
    made = [Level(height, width)]
    while len(made) < levels and min(height, width) >= 4:
        height, width = height // 2, width // 2
        made.append(Level(height, width))
    return made


def gradient_loss(
    color: Floats, target: Floats, weight: Floats, levels: list[Level]
) -> tuple[float, Floats]:
    """Return the loss of ``loss.gradient_reference`` and its gradient by ``color`` [H, W, 3].

    Args:
        color: [H, W, 3] contiguous.
        target: [H, W, 3] contiguous.
        weight: [H, W] contiguous, of the pixels.
        levels: memory of this image size, not shared between Python threads.
    """
    height, width = color.shape[:2]
    x, y = color.reshape(height, 3 * width), target.reshape(height, 3 * width)
    value = 0.0
    with KERNELS:
        np.subtract(x, y, out=levels[0].residual)
        tripled(weight, levels[0].weight)
        for finer, coarser in pairwise(levels):
            _halve(finer.residual, coarser.residual)
            _halve(finer.weight, coarser.weight)
        for level in levels:
            scale = 1.0 / (level.residual.size * len(levels))
            _differences(level.residual, level.weight, np.float32(scale), level.slope, level.sums)
            value += float(level.sums.sum()) * scale
        for finer, coarser in zip(levels[-2::-1], levels[:0:-1], strict=True):
            _spread(coarser.slope, finer.slope)
    return value, levels[0].slope.reshape(height, width, 3).copy()


@kernel(parallel=True)
def _halve(fine, coarse):  # type: ignore[no-untyped-def]  # pragma: no cover
    quarter = np.float32(0.25)
    for i in prange(coarse.shape[0]):
        up, down, out = fine[2 * i], fine[2 * i + 1], coarse[i]
        for pixel in range(len(out) // 3):
            for c in range(3):
                a = 6 * pixel + c
                out[3 * pixel + c] = quarter * (up[a] + up[a + 3] + down[a] + down[a + 3])


@kernel(parallel=True)
def _spread(coarse, fine):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a quarter of each coarse slope to the four pixels it is the mean of."""
    quarter = np.float32(0.25)
    for i in prange(coarse.shape[0]):
        up, down, given = fine[2 * i], fine[2 * i + 1], coarse[i]
        for pixel in range(len(given) // 3):
            for c in range(3):
                a, value = 6 * pixel + c, quarter * given[3 * pixel + c]
                up[a] += value
                up[a + 3] += value
                down[a] += value
                down[a + 3] += value


@kernel(parallel=True, fastmath=FAST)
def _differences(residual, weight, scale, slope, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sum the weighted differences of neighbours; a row's slope gathers from the rows beside it."""
    height, width = residual.shape
    zero = np.float32(0)
    for chunk in prange(len(sums)):
        total = 0.0
        for i in range(chunk * height // len(sums), (chunk + 1) * height // len(sums)):
            row, w, out = residual[i], weight[i], slope[i]
            row_total = zero
            for j in range(width):
                out[j] = zero
            if i > 0:
                above, v = residual[i - 1], weight[i - 1]
                for j in range(width):
                    d, pair = row[j] - above[j], min(w[j], v[j])
                    out[j] += pair * scale * (np.float32(d > zero) - np.float32(d < zero))
                    row_total += pair * abs(d)
            if i + 1 < height:
                below, v = residual[i + 1], weight[i + 1]
                for j in range(width):
                    d, pair = row[j] - below[j], min(w[j], v[j])
                    out[j] += pair * scale * (np.float32(d > zero) - np.float32(d < zero))
            for j in range(3, width):
                d, pair = row[j] - row[j - 3], min(w[j], w[j - 3])
                out[j] += pair * scale * (np.float32(d > zero) - np.float32(d < zero))
                row_total += pair * abs(d)
            for j in range(width - 3):
                d, pair = row[j] - row[j + 3], min(w[j], w[j + 3])
                out[j] += pair * scale * (np.float32(d > zero) - np.float32(d < zero))
            total += row_total
        sums[chunk] = total
