"""Fused value and gradient of the training loss, in numba.

An image [H, W, 3] is treated as H rows of 3 W numbers: a horizontal tap is a step of 3, so every
loop runs over contiguous memory and vectorises. Rows are split over threads; each thread has its own
row buffers and its own sums, so nothing is allocated in a step and the result does not depend on
timing.
"""

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from reconx_ros.splatting.cpu.compilation import kernel
from reconx_ros.splatting.cpu.threads import KERNELS

Floats = NDArray[np.float32]

RADIUS = 5  # of the 11 taps of Wang et al. 2004
SIGMA = 1.5
PAD = 3 * RADIUS
C1 = np.float32(0.01**2)
C2 = np.float32(0.03**2)


def gaussian_taps() -> Floats:
    """Return the 11 weights of the SSIM window [11], sum 1."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return np.asarray(taps / taps.sum(), np.float32)


@dataclass(frozen=True, eq=False)
class TargetStatistics:
    """What SSIM needs of a target image and never changes.

    Attributes:
        mean: [H, 3 W] float32, blurred target.
        square: [H, 3 W] float32, blurred squared target.
        weight: [H, 3 W] float32, the pixel weights, each three times.
    """

    mean: Floats
    square: Floats
    weight: Floats


class Workspace:
    """The memory of one image size: reused in every step, not shared between Python threads."""

    def __init__(self, height: int, width: int) -> None:
        self.chunks = get_num_threads()
        self.maps = np.empty((3, height, 3 * width), np.float32)
        self.rows = np.zeros((self.chunks, 3, 3 * width + 2 * PAD), np.float32)
        self.sums = np.zeros((self.chunks, 4), np.float64)


def target_statistics(target: Floats, weight: Floats) -> TargetStatistics:
    """Return the statistics of ``target`` [H, W, 3] with pixel weights ``weight`` [H, W]."""
    height, width = target.shape[:2]
    rows = target.reshape(height, 3 * width)
    return TargetStatistics(_blurred(rows), _blurred(rows * rows), np.repeat(weight, 3, axis=1))


def photometric(
    color: Floats,
    target: Floats,
    ssim_weight: float,
    statistics: TargetStatistics,
    work: Workspace,
) -> tuple[float, Floats]:
    """Return ``mean_i w_i mean_c [(1 - s) |x - y| + s (1 - SSIM)]`` and its gradient by ``color``.

    Args:
        color: [H, W, 3] contiguous, x.
        target: [H, W, 3] contiguous, y.
        ssim_weight: s.
        statistics: of ``target`` and w.
        work: memory of this image size.
    """
    height, width = color.shape[:2]
    shape = (height, 3 * width)
    x, y, gradient = color.reshape(shape), target.reshape(shape), np.empty(shape, np.float32)
    scale = 1.0 / (3 * height * width)
    share = np.float32(ssim_weight)
    args = (x, y, statistics.weight, _TAPS, np.float32(scale), share)
    with KERNELS:
        _ssim_forward(*args, statistics.mean, statistics.square, work.maps, work.rows, work.sums)
        _ssim_backward(*args, work.maps, work.rows, gradient)
        return float(work.sums[:, 0].sum() * scale), gradient.reshape(height, width, 3)


def geometric(
    depth: Floats,
    alpha: Floats,
    target: Floats,
    weight: Floats,
    depth_weight: float,
    coverage_weight: float,
    work: Workspace,
) -> tuple[float, Floats, Floats]:
    """Return the depth and coverage term and its gradients by ``depth`` and ``alpha``, all [H, W].

    ``mean_i w_i [d |depth_i / alpha_i - z_i| / z_i + c (1 - alpha_i)]`` over pixels of known z; the
    depth part counts where alpha exceeds ``MIN_ALPHA`` and its slope vanishes beyond ``MAX_ERROR``.
    """
    height, width = weight.shape
    by_depth, by_alpha = np.empty_like(depth), np.empty_like(alpha)
    scale = 1.0 / (height * width)
    scales = np.float32(depth_weight * scale), np.float32(coverage_weight * scale)
    with KERNELS:
        _geometric(depth, alpha, target, weight, *scales, by_depth, by_alpha, work.sums)
        return float(work.sums[:, 1].sum()), by_depth, by_alpha


MIN_ALPHA = np.float32(0.3)
MAX_ERROR = np.float32(0.2)  # relative: beyond it, another surface is seen
_TAPS = gaussian_taps()


def _blurred(rows: Floats) -> Floats:
    out = np.zeros_like(rows)
    padded = np.zeros((rows.shape[0] + 2 * RADIUS, rows.shape[1] + 2 * PAD), np.float32)
    padded[RADIUS:-RADIUS, PAD:-PAD] = rows
    vertical = sum(_TAPS[k] * padded[k : k + rows.shape[0]] for k in range(2 * RADIUS + 1))
    for k in range(2 * RADIUS + 1):
        out += _TAPS[k] * vertical[:, 3 * k : 3 * k + rows.shape[1]]
    return out


@njit(inline="always", fastmath=True)
def _across(row, taps, j):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Blur a padded row across, at column j: the window is symmetric."""
    value = taps[5] * row[j + 15]
    value += taps[4] * (row[j + 12] + row[j + 18])
    value += taps[3] * (row[j + 9] + row[j + 21])
    value += taps[2] * (row[j + 6] + row[j + 24])
    value += taps[1] * (row[j + 3] + row[j + 27])
    value += taps[0] * (row[j] + row[j + 30])
    return value


@kernel(parallel=True, fastmath=True)
def _ssim_forward(  # type: ignore[no-untyped-def]  # pragma: no cover
    x, y, weight, taps, scale, share, mean_y, square_y, maps, rows, sums
):
    """Sum the loss into ``sums[:, 0]`` and write the slopes by E[x], E[x^2], E[xy] into ``maps``."""
    height, width = x.shape
    chunks = rows.shape[0]
    for chunk in prange(chunks):
        first, second, third = rows[chunk, 0], rows[chunk, 1], rows[chunk, 2]
        total = 0.0
        for i in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            first[PAD : PAD + width] = 0
            second[PAD : PAD + width] = 0
            third[PAD : PAD + width] = 0
            for r in range(max(i - RADIUS, 0), min(i + RADIUS + 1, height)):
                tap = taps[r - i + RADIUS]
                xr, yr = x[r], y[r]
                for j in range(width):
                    a = tap * xr[j]
                    first[PAD + j] += a
                    second[PAD + j] += a * xr[j]
                    third[PAD + j] += a * yr[j]
            by_mean, by_square, by_product = maps[0, i], maps[1, i], maps[2, i]
            mu_ys, square_ys, xi, yi, wi = mean_y[i], square_y[i], x[i], y[i], weight[i]
            one = np.float32(1)
            two = np.float32(2)
            row_total = np.float32(0)
            for j in range(width):
                mu_x = _across(first, taps, j)
                xx = _across(second, taps, j)
                xy = _across(third, taps, j)
                mu_y = mu_ys[j]
                w = wi[j]
                cross = mu_x * mu_y
                squares = mu_x * mu_x + mu_y * mu_y
                a1 = two * cross + C1
                a2 = two * (xy - cross) + C2
                b1 = squares + C1
                b2 = xx + square_ys[j] - squares + C2
                inverse = one / (b1 * b2)
                ssim = a1 * a2 * inverse
                row_total += w * (share * (one - ssim) + (one - share) * abs(xi[j] - yi[j]))
                slope = -w * scale * share
                # dS/dE[xy] = 2 a1 / (b1 b2); dS/dE[x^2] = -S / b2; dS/dE[x] by the chain rule
                by_product[j] = slope * two * a1 * inverse
                by_square[j] = -slope * ssim * b1 * inverse
                by_mean[j] = slope * two * (mu_y * (a2 - a1) * inverse - mu_x * ssim * (b2 - b1) * inverse)
            total += row_total
        sums[chunk, 0] = total


@kernel(parallel=True, fastmath=True)
def _ssim_backward(  # type: ignore[no-untyped-def]  # pragma: no cover
    x, y, weight, taps, scale, share, maps, rows, gradient
):
    """Blur the slopes back and add the L1 part: the gradient by x."""
    height, width = x.shape
    chunks = rows.shape[0]
    for chunk in prange(chunks):
        first, second, third = rows[chunk, 0], rows[chunk, 1], rows[chunk, 2]
        for i in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            first[PAD : PAD + width] = 0
            second[PAD : PAD + width] = 0
            third[PAD : PAD + width] = 0
            for r in range(max(i - RADIUS, 0), min(i + RADIUS + 1, height)):
                tap = taps[r - i + RADIUS]
                by_mean, by_square, by_product = maps[0, r], maps[1, r], maps[2, r]
                for j in range(width):
                    first[PAD + j] += tap * by_mean[j]
                    second[PAD + j] += tap * by_square[j]
                    third[PAD + j] += tap * by_product[j]
            xi, yi, wi, out = x[i], y[i], weight[i], gradient[i]
            two = np.float32(2)
            l1 = scale * (np.float32(1) - share)
            for j in range(width):
                a = _across(first, taps, j)
                b = _across(second, taps, j)
                c = _across(third, taps, j)
                difference = xi[j] - yi[j]
                sign = np.float32(difference > 0) - np.float32(difference < 0)
                out[j] = a + two * xi[j] * b + yi[j] * c + l1 * wi[j] * sign


@kernel(parallel=True, fastmath={"nsz", "arcp", "contract", "afn", "reassoc"})
def _geometric(  # type: ignore[no-untyped-def]  # pragma: no cover
    depth, alpha, target, weight, depth_scale, coverage_scale, by_depth, by_alpha, sums
):
    height, width = depth.shape
    chunks = sums.shape[0]
    for chunk in prange(chunks):
        total = 0.0
        for i in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            for j in range(width):
                by_depth[i, j] = 0
                by_alpha[i, j] = 0
                z, w, a = target[i, j], weight[i, j], alpha[i, j]
                if not (z > 0 and w > 0):
                    continue
                total += w * coverage_scale * (1 - a)
                by_alpha[i, j] = -w * coverage_scale
                if a <= MIN_ALPHA:
                    continue
                error = depth[i, j] / (a * z) - 1
                total += w * depth_scale * min(abs(error), MAX_ERROR)
                if abs(error) < MAX_ERROR:
                    slope = w * depth_scale * np.sign(error) / (a * z)
                    by_depth[i, j] = slope
                    by_alpha[i, j] -= slope * depth[i, j] / a
        sums[chunk, 1] = total
