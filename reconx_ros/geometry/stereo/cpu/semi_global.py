"""Kernel of the semi-global path costs."""

import numpy as np
from numba import njit, prange

UNSEEN = 255
"""Matching cost of what no neighbour sees (as in ``volume``)."""

NEUTRAL = 127
"""Cost that counts there instead, NCC = 0: it must not drive the path to where somebody sees anything."""


@njit(cache=True, parallel=True, nogil=True, error_model="numpy")
def add_path(volume, image, down, right, small, large, slope, total):
    """Walk every path of one direction: from each pixel whose predecessor is outside."""
    height, width, _ = volume.shape
    starts = width if right == 0 else height if down == 0 else width + height - 1
    for number in prange(starts):
        start = np.int64(number)
        top, left = np.int64(0 if down > 0 else height - 1), np.int64(0 if right > 0 else width - 1)
        if right == 0 or (down != 0 and start < width):
            left = start
        elif down == 0:
            top = start
        else:
            top += down * (start - width + 1)
        _walk(volume, image, top, left, down, right, small, large, slope, total)


@njit(nogil=True, error_model="numpy")
def _walk(volume, image, row, column, down, right, small, large, slope, total):
    height, width, depths = volume.shape
    far = np.float32(1e9)
    # Padded by one plane at either end that never wins.
    before, now = np.full(depths + 2, far, np.float32), np.full(depths + 2, far, np.float32)
    before[1 : depths + 1] = 0
    least = np.float32(0)
    value = image[row, column]
    while 0 <= row < height and 0 <= column < width:
        cost, out = volume[row, column], total[row, column]
        jump = least + max(large / (np.float32(1) + abs(image[row, column] - value) * slope), small)
        lowest = far
        for d in range(depths):
            step = min(before[d], before[d + 2]) + small
            best = min(before[d + 1], step, jump)
            level = np.float32(cost[d])
            level = np.float32(NEUTRAL) if level == np.float32(UNSEEN) else level
            path = level + best - least
            now[d + 1] = path
            out[d] += np.uint16(path)
            lowest = min(lowest, path)
        value, least = image[row, column], lowest
        before, now = now, before
        row += down
        column += right
