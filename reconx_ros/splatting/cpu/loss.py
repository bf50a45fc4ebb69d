"""Fused value and gradient of the training loss, in numba.

An image [H, W, 3] is treated as H rows of 3 W numbers: a horizontal tap is a step of 3, so every
loop runs over contiguous memory and vectorises. Rows are split over threads; each thread has its own
row buffers and its own sums, so the result does not depend on timing. What a step works in is made once
a size (``Workspace``); the gradients it returns are new arrays, since autograd may keep them.
"""

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.memory import load16, store
from reconx_ros.splatting.cpu.simd import absolute, fma, folded, ramp16, select, spread16, total
from reconx_ros.splatting.cpu.threads import KERNELS

Floats = NDArray[np.float32]

RADIUS = 5  # of the 11 taps of Wang et al. 2004
SIGMA = 1.5
PAD = 3 * RADIUS
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
LANES = 16
NARROWEST = 6
"""Pixels: rows of narrower images are shorter than a vector, so zeros are put beside them."""

C1 = np.float32(0.01**2)
C2 = np.float32(0.03**2)


def gaussian_taps() -> Floats:
    """Return the 11 weights of the SSIM window [11], sum 1."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return np.asarray(taps / taps.sum(), np.float32)


class Workspace:
    """The memory of one image size: reused in every step, not shared between Python threads.

    What SSIM needs of a target is made anew in every step: kept, it would be twice the target.
    """

    def __init__(self, height: int, width: int) -> None:
        self.chunks = get_num_threads()
        width = max(width, NARROWEST)
        self.maps = np.empty(9 * height * width, np.float32)
        self.weight = np.zeros((height, 3 * width), np.float32)
        self.rows = np.zeros((self.chunks, 5, 3 * width + 2 * PAD), np.float32)
        self.sums = np.zeros((self.chunks, 4), np.float64)


def photometric(
    color: Floats, target: Floats, weight: Floats, ssim_weight: float, work: Workspace
) -> tuple[float, Floats]:
    """Return ``mean_i w_i mean_c [(1 - s) |x - y| + s (1 - SSIM)]`` and its gradient by ``color``.

    Args:
        color: [H, W, 3] contiguous, x.
        target: [H, W, 3] contiguous, y.
        weight: [H, W] contiguous, w.
        ssim_weight: s.
        work: memory of this image size.
    """
    height, width = color.shape[:2]
    x, y = _rows(color).reshape(-1), _rows(target).reshape(-1)
    gradient = np.empty_like(x)
    scale = 1.0 / (3 * height * width)
    args = (x, y, work.weight.reshape(-1), _TAPS, np.float32(scale), np.float32(ssim_weight))
    with KERNELS:
        tripled(weight, work.weight)
        _ssim_forward(*args, height, work.maps, work.rows, work.sums)
        _ssim_backward(*args, height, work.maps, work.rows, gradient)
        value = float(work.sums[:, 0].sum() * scale)
    return value, gradient.reshape(height, -1, 3)[:, :width]


def _rows(image: Floats) -> Floats:
    """Return an image [H, W, 3] as [H, 3 W'], with zeros beside narrow ones: they change nothing."""
    missing = NARROWEST - image.shape[1]
    if missing > 0:
        image = np.pad(image, ((0, 0), (0, missing), (0, 0)))
    return image.reshape(len(image), -1)


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


@kernel(parallel=True)
def tripled(weight, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write pixel weights [H, W] to rows of three numbers a pixel [H, >= 3 W]."""
    for i in prange(weight.shape[0]):
        row, wide = weight[i], out[i]
        for j in range(len(row)):
            value = row[j]
            wide[3 * j] = value
            wide[3 * j + 1] = value
            wide[3 * j + 2] = value


@njit(**INLINED)
def _across(row, taps, j):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Blur a padded row across, at columns j to j + 15: the window is symmetric."""
    value = load16(row, j + 15) * taps[5]
    for k in range(5):
        value = fma(taps[k], load16(row, j + 3 * k) + load16(row, j + 30 - 3 * k), value)
    return value


@njit(**INLINED)
def _start(block, width):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the first column of a block; the last overlaps the one before."""
    return min(LANES * block, width - LANES)


@njit(**INLINED)
def _products_down(x, y, taps, i, height, width, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Blur x, x², x y, y and y² down at row i, into the five padded ``rows``."""
    first, last = max(i - RADIUS, 0), min(i + RADIUS + 1, height)
    for block in range((width + LANES - 1) // LANES):
        j = _start(block, width)
        a, b, c = spread16(ZERO), spread16(ZERO), spread16(ZERO)
        d, e = spread16(ZERO), spread16(ZERO)
        for r in range(first, last):
            xs, ys, tap = load16(x, r * width + j), load16(y, r * width + j), taps[r - i + RADIUS]
            weighted, known = xs * tap, ys * tap
            a, b, c = a + weighted, fma(weighted, xs, b), fma(weighted, ys, c)
            d, e = d + known, fma(known, ys, e)
        store(rows[0], PAD + j, a)
        store(rows[1], PAD + j, b)
        store(rows[2], PAD + j, c)
        store(rows[3], PAD + j, d)
        store(rows[4], PAD + j, e)


@njit(**INLINED)
def _maps_down(maps, taps, i, height, width, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Blur the three maps down at row i, into the three padded ``rows``."""
    first, last, size = max(i - RADIUS, 0), min(i + RADIUS + 1, height), height * width
    for block in range((width + LANES - 1) // LANES):
        j = _start(block, width)
        a, b, c = spread16(ZERO), spread16(ZERO), spread16(ZERO)
        for r in range(first, last):
            tap, at = taps[r - i + RADIUS], r * width + j
            a, b = fma(tap, load16(maps, at), a), fma(tap, load16(maps, size + at), b)
            c = fma(tap, load16(maps, 2 * size + at), c)
        store(rows[0], PAD + j, a)
        store(rows[1], PAD + j, b)
        store(rows[2], PAD + j, c)


@kernel(parallel=True)
def _ssim_forward(  # type: ignore[no-untyped-def]  # pragma: no cover
    x, y, weight, taps, scale, share, height, maps, rows, sums
):
    """Sum the loss into ``sums[:, 0]`` and write the slopes by E[x], E[x^2], E[xy] into ``maps``."""
    width, size = x.size // height, x.size
    chunks = rows.shape[0]
    for chunk in prange(chunks):
        first, second, third = rows[chunk, 0], rows[chunk, 1], rows[chunk, 2]
        fourth, fifth = rows[chunk, 3], rows[chunk, 4]
        summed = 0.0
        for i in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            _products_down(x, y, taps, i, height, width, rows[chunk])
            losses = spread16(ZERO)
            for block in range((width + LANES - 1) // LANES):
                j = _start(block, width)
                at = i * width + j
                mu_x, mu_y, w = _across(first, taps, j), _across(fourth, taps, j), load16(weight, at)
                xx, xy = _across(second, taps, j), _across(third, taps, j)
                cross, squares = mu_x * mu_y, fma(mu_x, mu_x, mu_y * mu_y)
                a1, a2 = cross * TWO + C1, (xy - cross) * TWO + C2
                b1, b2 = squares + C1, xx + _across(fifth, taps, j) - squares + C2
                inverse = ONE / (b1 * b2)
                ssim = a1 * a2 * inverse
                error = absolute(load16(x, at) - load16(y, at))
                loss = w * (share * (ONE - ssim) + (ONE - share) * error)
                fresh = ramp16() >= np.float32(LANES * block - j)
                losses = losses + select(fresh, loss, ZERO)
                slope = w * (-scale * share)
                # dS/dE[xy] = 2 a1 / (b1 b2); dS/dE[x^2] = -S / b2; dS/dE[x] by the chain rule
                by_mean = mu_y * (a2 - a1) - mu_x * ssim * (b2 - b1)
                store(maps, at, slope * TWO * by_mean * inverse)
                store(maps, size + at, -slope * ssim * b1 * inverse)
                store(maps, 2 * size + at, slope * TWO * a1 * inverse)
            summed += total(folded(losses))
        sums[chunk, 0] = summed


@kernel(parallel=True)
def _ssim_backward(  # type: ignore[no-untyped-def]  # pragma: no cover
    x, y, weight, taps, scale, share, height, maps, rows, gradient
):
    """Blur the slopes back and add the L1 part: the gradient by x."""
    width = x.size // height
    chunks = rows.shape[0]
    l1 = scale * (ONE - share)
    for chunk in prange(chunks):
        first, second, third = rows[chunk, 0], rows[chunk, 1], rows[chunk, 2]
        for i in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            _maps_down(maps, taps, i, height, width, rows[chunk])
            for block in range((width + LANES - 1) // LANES):
                j = _start(block, width)
                xs, ys = load16(x, i * width + j), load16(y, i * width + j)
                by_square, by_product = _across(second, taps, j), _across(third, taps, j)
                value = _across(first, taps, j) + TWO * xs * by_square + ys * by_product
                step = load16(weight, i * width + j) * l1
                value = value + select(xs > ys, step, ZERO) - select(xs < ys, step, ZERO)
                store(gradient, i * width + j, value)


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
