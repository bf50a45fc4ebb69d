"""Kernels of the cost volume: warp, correlate, combine.

Inner loops run along image rows, without branches and with unsigned indices (numba wraps signed ones
around), so that LLVM vectorises them.
"""

import numpy as np
from numba import njit, prange

STRIP = 16
"""Rows a thread works on at a time: its part of the volume stays in cache."""

LEVELS = 127.5
"""Cost levels to a unit of 1 - NCC: NCC = -1 is at 255."""

UNSEEN = 255
"""Cost where no neighbour sees the pixel on the plane."""

WORST = 254
"""Largest other cost."""

FAR = np.float32(1e9)
"""Cost of a neighbour that does not see the pixel, while neighbours are ranked."""


@njit(nogil=True, error_model="numpy")
def _warp(flat, stride, size, transfer, w, y, out):
    """Sample a neighbour at row ``y`` of the reference view on plane ``w``; NaN outside of it."""
    t = transfer
    u0, v0, z0 = (
        t[0, 1] * y + t[0, 2] + w * t[0, 3],
        t[1, 1] * y + t[1, 2] + w * t[1, 3],
        t[2, 1] * y + t[2, 2] + w * t[2, 3],
    )
    a, b, c = t[0, 0], t[1, 0], t[2, 0]
    high_u, high_v = np.float32(size[1] - 1), np.float32(size[0] - 1)
    last_u, last_v = np.float32(size[1] - 2), np.float32(size[0] - 2)
    zero = np.float32(0)
    for j in range(len(out)):
        x = np.float32(j)
        z = c * x + z0
        scale = np.float32(1) / z
        u, v = (a * x + u0) * scale, (b * x + v0) * scale
        inside = (z > np.float32(1e-6)) & (u >= zero) & (v >= zero) & (u <= high_u) & (v <= high_v)
        left = min(max(np.floor(u), zero), last_u) if inside else zero
        top = min(max(np.floor(v), zero), last_v) if inside else zero
        at = np.uint32(top) * stride + np.uint32(left)
        below = at + stride
        du, dv = u - left, v - top
        one = np.uint32(1)
        p, q = flat[at], flat[at + one]
        r, s = flat[below], flat[below + one]
        high = p + du * (q - p)
        low = r + du * (s - r)
        out[j] = high + dv * (low - high) if inside else np.float32(np.nan)


@njit(nogil=True, error_model="numpy")
def _box(source, radius, column, out):
    """Write the window means of ``source`` [rows + 2 radius, W] to ``out`` [rows, W]; NaN at the sides."""
    rows, width = out.shape
    scale = np.float32(1) / np.float32((2 * radius + 1) * (2 * radius + 1))
    for i in range(rows):
        column[:] = source[i]
        for r in range(i + 1, i + 2 * radius + 1):
            line = source[r]
            for j in range(width):
                column[j] += line[j]
        line = out[i]
        line[:radius] = np.nan
        line[width - radius :] = np.nan
        for j in range(width - 2 * radius):
            line[j + radius] = column[j]
        for c in range(1, 2 * radius + 1):
            for j in range(width - 2 * radius):
                line[j + radius] += column[j + c]
        for j in range(radius, width - radius):
            line[j] *= scale


@njit(nogil=True, error_model="numpy")
def _multiply(one, two, out):
    for i in range(out.shape[0]):
        a, b, c = one[i], two[i], out[i]
        for j in range(out.shape[1]):
            c[j] = a[j] * b[j]


@njit(nogil=True, error_model="numpy")
def _rank(costs, seen, rank):
    """Insert the costs ``costs[rank]`` into those before it, sorted, pixel by pixel; count who sees it."""
    rows, width = seen.shape
    for i in range(rows):
        new, count = costs[rank, i], seen[i]
        for j in range(width):
            hidden = np.isnan(new[j])
            new[j] = FAR if hidden else new[j]
            count[j] += np.float32(0) if hidden else np.float32(1)
        for r in range(rank):
            old = costs[r, i]
            for j in range(width):
                low, high = min(old[j], new[j]), max(old[j], new[j])
                old[j], new[j] = low, high


@njit(nogil=True, error_model="numpy")
def _combine(costs, seen, share, out):
    """Write the mean of the better share of the ranked costs, in levels, to ``out`` [rows, W]."""
    neighbours = len(costs)
    for i in range(seen.shape[0]):
        count = seen[i]
        for j in range(seen.shape[1]):
            used = max(np.ceil(share * count[j]), np.float32(1))
            total = np.float32(0)
            for r in range(neighbours):
                total += costs[r, i, j] if np.float32(r) < used else np.float32(0)
            level = min(
                max(total / used * np.float32(LEVELS) + np.float32(0.5), np.float32(0)), np.float32(WORST)
            )
            out[i, j] = np.uint8(level) if count[j] > 0 else np.uint8(UNSEEN)


@njit(nogil=True, error_model="numpy")
def _correlate(cross, mean, mean_own, square, deviation_own, noise, out):
    """Write 1 - NCC of the window sums to ``out``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            variance = square[i, j] - mean[i, j] * mean[i, j] + noise
            covariance = cross[i, j] - mean[i, j] * mean_own[i, j]
            out[i, j] = np.float32(1) - covariance / (np.sqrt(variance) * deviation_own[i, j])


@njit(cache=True, parallel=True, nogil=True, error_model="numpy")
def fill(image, flats, strides, sizes, transfers, planes, radius, noise, share, volume):
    """Fill ``volume`` [H, W, D]; strips of rows in parallel."""
    height = volume.shape[0]
    for strip in prange((height + STRIP - 1) // STRIP):
        first = np.int64(strip) * STRIP
        rows = min(STRIP, height - first)
        _fill_strip(
            image,
            flats,
            strides,
            sizes,
            transfers,
            planes,
            radius,
            noise,
            share,
            first,
            volume[first : first + rows],
        )


@njit(nogil=True, error_model="numpy")
def _fill_strip(image, flats, strides, sizes, transfers, planes, radius, noise, share, first, volume):
    rows, width, depths = volume.shape
    neighbours = len(flats)
    tall = rows + 2 * radius
    own, warped, product = (
        np.empty((tall, width), np.float32),
        np.empty((tall, width), np.float32),
        np.empty((tall, width), np.float32),
    )
    column = np.empty(width, np.float32)
    mean, square, cross = (
        np.empty((rows, width), np.float32),
        np.empty((rows, width), np.float32),
        np.empty((rows, width), np.float32),
    )
    mean_own, deviation_own = np.empty((rows, width), np.float32), np.empty((rows, width), np.float32)
    seen = np.empty((rows, width), np.float32)
    level = np.empty((rows, width), np.uint8)
    costs = np.empty((neighbours, rows, width), np.float32)
    for i in range(tall):  # rows above and below the image repeat its border
        own[i] = image[min(max(first + i - radius, 0), image.shape[0] - 1)]
    _box(own, radius, column, mean_own)
    _multiply(own, own, product)
    _box(product, radius, column, deviation_own)
    for i in range(rows):
        for j in range(width):
            deviation_own[i, j] = np.sqrt(deviation_own[i, j] - mean_own[i, j] * mean_own[i, j] + noise)
    for d in range(depths):
        seen[:] = 0
        for k in range(neighbours):
            for i in range(tall):
                y = np.float32(min(max(first + i - radius, 0), image.shape[0] - 1))
                _warp(flats[k], strides[k], sizes[k], transfers[k], planes[d], y, warped[i])
            _box(warped, radius, column, mean)
            _multiply(warped, warped, product)
            _box(product, radius, column, square)
            _multiply(warped, own, product)
            _box(product, radius, column, cross)
            _correlate(cross, mean, mean_own, square, deviation_own, noise, costs[k])
            _rank(costs, seen, k)
        _combine(costs, seen, share, level)
        for i in range(rows):
            for j in range(width):
                volume[i, j, d] = level[i, j]
