"""Kernel that picks the best plane."""

import numpy as np
from numba import njit, prange

APART = 2
"""Planes within this many of the winner are the winner's own valley."""


@njit(cache=True, parallel=True, nogil=True, error_model="numpy")
def winners(volume, total, planes, unseen):
    """Return inverse depth, cost in levels and margin, each [H, W]."""
    height, width, depths = volume.shape
    inverse = np.full((height, width), np.nan, np.float32)
    cost = np.full((height, width), np.nan, np.float32)
    margin = np.zeros((height, width), np.float32)
    step = planes[1] - planes[0]
    for row in prange(height):
        for column in range(width):
            sums, own = total[row, column], volume[row, column]
            best = 0
            for d in range(1, depths):
                if sums[d] < sums[best]:
                    best = d
            if own[best] == unseen:
                continue
            second = np.float32(65535)
            for d in range(depths):
                if abs(d - best) > APART:
                    second = min(second, np.float32(sums[d]))
            least = np.float32(sums[best])
            offset = np.float32(0)
            if 0 < best < depths - 1:
                left, right = np.float32(sums[best - 1]), np.float32(sums[best + 1])
                bend = left + right - 2 * least
                if bend > 0:
                    offset = np.float32(0.5) * (left - right) / bend
            inverse[row, column] = planes[best] + offset * step
            cost[row, column] = own[best]
            margin[row, column] = np.float32(1) - least / max(second, np.float32(1))
    return inverse, cost, margin
