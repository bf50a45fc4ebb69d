"""Radix sort of the visible Gaussians by depth."""

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu.compilation import INLINED, kernel

DIGIT = 11
"""Bits of a radix digit; three digits hold the 31 bits of a positive float."""

_BINS = 1 << DIGIT


@kernel()
def depth_order(depth_bits, order, keys, spare_order, spare_keys, visible):
    """Sort by depth, stably; return how many Gaussians are visible.

    Args:
        depth_bits: [N] int32, the bits of the depths; negative where out of sight.
        order: [N] int32, receives the visible Gaussians front to back.
        keys: [N] int32 work space.
        spare_order: [N] int32 work space.
        spare_keys: [N] int32 work space.
        visible: [N] bool, receives which Gaussians are visible.
    """
    bins = np.zeros((3, _BINS), np.int32)
    count = 0
    for i in range(len(depth_bits)):
        key = depth_bits[i]
        visible[i] = key >= 0
        if key >= 0:
            order[count], keys[count] = i, key
            count += 1
            for digit in range(3):
                bins[digit, (key >> (DIGIT * digit)) & (_BINS - 1)] += 1
    source, spare, passes = order, spare_order, 0
    for digit in range(3):
        if bins[digit].max() < count:  # otherwise all have the same digit
            _scatter(source, keys, spare, spare_keys, count, bins[digit], DIGIT * digit)
            source, spare, keys, spare_keys = spare, source, spare_keys, keys
            passes += 1
    if passes % 2:
        spare[:count] = source[:count]
    return count


@njit(**INLINED)
def _scatter(order, keys, new_order, new_keys, count, bins, shift):
    total = 0
    for digit in range(_BINS):
        total, bins[digit] = total + bins[digit], total
    for i in range(count):
        digit = (keys[i] >> shift) & (_BINS - 1)
        at = bins[digit]
        bins[digit] = at + 1
        new_order[at], new_keys[at] = order[i], keys[i]
