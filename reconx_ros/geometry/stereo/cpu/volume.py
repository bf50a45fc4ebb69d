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
def _place(size, transfer, w, y, at, across, down, inside):
    """Find where row ``y`` of the reference view lies in a neighbour on plane ``w``.

    Writes for each pixel the index of the sample to its upper left, the rest in both directions, and
    whether it lies inside; outside, the border repeats.
    """
    t = transfer
    u0 = t[0, 1] * y + t[0, 2] + w * t[0, 3]
    v0 = t[1, 1] * y + t[1, 2] + w * t[1, 3]
    z0 = t[2, 1] * y + t[2, 2] + w * t[2, 3]
    a, b, c = t[0, 0], t[1, 0], t[2, 0]
    stride = np.int32(size[1])
    high_u, high_v = np.float32(size[1] - 1), np.float32(size[0] - 1)
    last_u, last_v = np.float32(size[1] - 2), np.float32(size[0] - 2)
    zero, behind = np.float32(0), np.float32(1e-6)
    for j in range(len(at)):
        x = np.float32(j)
        z = c * x + z0
        scale = np.float32(1) / z
        u, v = (a * x + u0) * scale, (b * x + v0) * scale
        inside[j] = (z > behind) & (u >= zero) & (v >= zero) & (u <= high_u) & (v <= high_v)
        u, v = min(max(u, zero), high_u), min(max(v, zero), high_v)
        left, top = min(np.floor(u), last_u), min(np.floor(v), last_v)
        at[j] = np.int32(top) * stride + np.int32(left)
        across[j], down[j] = u - left, v - top


@njit(nogil=True, error_model="numpy")
def _sample(flat, stride, at, across, down, out):
    """Interpolate a neighbour where ``_place`` says."""
    for j in range(len(out)):
        high = np.uint64(at[j])
        low = high + stride
        p, q = flat[high], flat[high + np.uint64(1)]
        r, s = flat[low], flat[low + np.uint64(1)]
        first = p + across[j] * (q - p)
        out[j] = first + down[j] * (r + across[j] * (s - r) - first)


@njit(nogil=True, error_model="numpy")
def _window_sums(one, two, radius, column, out):
    """Write the window means of ``one * two`` [rows + 2 radius, W] to ``out`` [rows, W].

    Column sums run down the rows; the sides of ``out``, where the window leaves the image, get NaN.
    """
    rows, width = out.shape
    inner = width - 2 * radius
    scale = np.float32(1) / np.float32((2 * radius + 1) * (2 * radius + 1))
    column[:] = 0
    for r in range(2 * radius):
        a, b = one[r], two[r]
        for j in range(width):
            column[j] += a[j] * b[j]
    for i in range(rows):
        a, b = one[i + 2 * radius], two[i + 2 * radius]
        for j in range(width):
            column[j] += a[j] * b[j]
        line = out[i]
        line[:radius] = np.nan
        line[width - radius :] = np.nan
        middle = line[radius : width - radius]
        first = column[:inner]
        for j in range(inner):
            middle[j] = first[j]
        for c in range(1, 2 * radius + 1):
            beside = column[c : c + inner]
            for j in range(inner):
                middle[j] += beside[j]
        for j in range(inner):
            middle[j] *= scale
        a, b = one[i], two[i]
        for j in range(width):
            column[j] -= a[j] * b[j]


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
def _combine(costs, seen, share, used, total, out):
    """Write the mean of the better share of the ranked costs, in levels, to ``out`` [rows, W]."""
    one, zero = np.float32(1), np.float32(0)
    for i in range(seen.shape[0]):
        count, level = seen[i], out[i]
        for j in range(len(used)):
            used[j] = max(np.ceil(share * count[j]), one)
            total[j] = zero
        for r in range(len(costs)):
            cost, rank = costs[r, i], np.float32(r)
            for j in range(len(used)):
                total[j] += cost[j] if rank < used[j] else zero
        for j in range(len(used)):
            value = total[j] / used[j] * np.float32(LEVELS) + np.float32(0.5)
            value = min(max(value, zero), np.float32(WORST))
            level[j] = np.uint8(value if count[j] > zero else np.float32(UNSEEN))


@njit(nogil=True, error_model="numpy")
def _correlate(cross, mean, mean_own, square, deviation_own, inside, noise, out):
    """Write 1 - NCC of the window means to ``out``, NaN where the pixel is not inside the neighbour."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            variance = square[i, j] - mean[i, j] * mean[i, j] + noise
            covariance = cross[i, j] - mean[i, j] * mean_own[i, j]
            cost = np.float32(1) - covariance / (np.sqrt(max(variance, noise)) * deviation_own[i, j])
            out[i, j] = cost if inside[i, j] else np.float32(np.nan)


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
    own, warped = np.empty((tall, width), np.float32), np.empty((tall, width), np.float32)
    ones, inside = np.ones((tall, width), np.float32), np.empty((tall, width), np.bool_)
    column = np.empty(width, np.float32)
    at, across, down = np.empty(width, np.int32), np.empty(width, np.float32), np.empty(width, np.float32)
    mean, square, cross = (
        np.empty((rows, width), np.float32),
        np.empty((rows, width), np.float32),
        np.empty((rows, width), np.float32),
    )
    mean_own, deviation_own = np.empty((rows, width), np.float32), np.empty((rows, width), np.float32)
    seen = np.empty((rows, width), np.float32)
    used, total = np.empty(width, np.float32), np.empty(width, np.float32)
    level = np.empty((rows, width), np.uint8)
    costs = np.empty((neighbours, rows, width), np.float32)
    for i in range(tall):  # rows above and below the image repeat its border
        own[i] = image[min(max(first + i - radius, 0), image.shape[0] - 1)]
    _window_sums(own, ones, radius, column, mean_own)
    _window_sums(own, own, radius, column, deviation_own)
    for i in range(rows):
        for j in range(width):
            variance = deviation_own[i, j] - mean_own[i, j] * mean_own[i, j] + noise
            deviation_own[i, j] = np.sqrt(max(variance, noise))
    for d in range(depths):
        seen[:] = 0
        for k in range(neighbours):
            for i in range(tall):
                y = np.float32(min(max(first + i - radius, 0), image.shape[0] - 1))
                _place(sizes[k], transfers[k], planes[d], y, at, across, down, inside[i])
                _sample(flats[k], strides[k], at, across, down, warped[i])
            _window_sums(warped, ones, radius, column, mean)
            _window_sums(warped, warped, radius, column, square)
            _window_sums(warped, own, radius, column, cross)
            here = inside[radius : radius + rows]
            _correlate(cross, mean, mean_own, square, deviation_own, here, noise, costs[k])
            _rank(costs, seen, k)
        _combine(costs, seen, share, used, total, level)
        for i in range(rows):
            for j in range(width):
                volume[i, j, d] = level[i, j]
