"""Parallel radix sort of the visible Gaussians by depth.

Each digit is one stable counting sort: chunks of the sequence are counted and dealt out by different
threads, and the chunks of a digit follow each other. The first digit leaves out what is out of sight.
Few Gaussians one thread sorts alone: to wake the others takes longer.
"""

from numba import njit, prange

from reconx_ros.splatting.cpu.compilation import INLINED, kernel
from reconx_ros.splatting.cpu.memory import item

DIGIT = 11
"""Bits of a radix digit; three digits hold the 31 bits of a positive float."""

BINS = 1 << DIGIT

ALONE = 1 << 15
"""Up to as many Gaussians are sorted by one thread."""


def depth_order(depth_bits, work, bins, visible):
    """Sort by depth, stably; return the visible Gaussians front to back (in one of the arrays of ``work``).

    Args:
        depth_bits: [N] int32, the bits of the depths; negative where out of sight.
        work: four [N] int32 arrays, overwritten.
        bins: [chunks, BINS] int32, overwritten.
        visible: [N] bool, receives which Gaussians are visible.
    """
    order, keys, spare_order, spare_keys = work
    if len(depth_bits) <= ALONE:
        count, moves = sort_alone(depth_bits, bins[:1], *work, visible)
        return (spare_order if moves % 2 else order)[:count]
    count = first_digit(depth_bits, bins, order, keys, visible)
    for shift in (DIGIT, 2 * DIGIT):
        if next_digit(order, keys, count, shift, bins, spare_order, spare_keys):
            order, keys, spare_order, spare_keys = spare_order, spare_keys, order, keys
    return order[:count]


@njit(**INLINED)
def _place(bins):
    """Turn counts into positions; return how many there are and how many the fullest bin holds."""
    total, most = 0, 0
    for digit in range(BINS):
        before = total
        for chunk in range(len(bins)):
            total, bins[chunk, digit] = total + bins[chunk, digit], total
        most = max(most, total - before)
    return total, most


@kernel(parallel=True)
def first_digit(depth_bits, bins, order, keys, visible):
    """Sort the visible Gaussians by the lowest digit; return how many there are."""
    chunks, size = len(bins), len(depth_bits)
    for chunk in prange(chunks):
        bins[chunk] = 0
        for i in range(size * chunk // chunks, size * (chunk + 1) // chunks):
            key = depth_bits[i]
            visible[i] = key >= 0
            if key >= 0:
                bins[chunk, key & (BINS - 1)] += 1
    count, _ = _place(bins)
    for chunk in prange(chunks):
        at = bins[chunk]
        for i in range(size * chunk // chunks, size * (chunk + 1) // chunks):
            key = depth_bits[i]
            if key >= 0:
                to = item(at, key & (BINS - 1))
                at[key & (BINS - 1)] = to + 1
                order[to], keys[to] = i, key
    return count


@kernel(parallel=True)
def next_digit(order, keys, count, shift, bins, new_order, new_keys):
    """Sort by the digit at ``shift``; return False, having done nothing, where all have the same."""
    chunks = len(bins)
    for chunk in prange(chunks):
        bins[chunk] = 0
        for n in range(count * chunk // chunks, count * (chunk + 1) // chunks):
            bins[chunk, (keys[n] >> shift) & (BINS - 1)] += 1
    _, most = _place(bins)
    if most == count:
        return False
    for chunk in prange(chunks):
        at = bins[chunk]
        for n in range(count * chunk // chunks, count * (chunk + 1) // chunks):
            digit = (keys[n] >> shift) & (BINS - 1)
            to = item(at, digit)
            at[digit] = to + 1
            new_order[to], new_keys[to] = order[n], keys[n]
    return True


_first_digit, _next_digit = njit(**INLINED)(first_digit.py_func), njit(**INLINED)(next_digit.py_func)
"""The same without threads."""


@kernel()
def sort_alone(depth_bits, bins, order, keys, spare_order, spare_keys, visible):
    """Sort in one thread; return how many are visible and how often they moved to the spare arrays."""
    count, moves = _first_digit(depth_bits, bins, order, keys, visible), 0
    for shift in (DIGIT, 2 * DIGIT):
        if _next_digit(order, keys, count, shift, bins, spare_order, spare_keys):
            order, spare_order = spare_order, order
            keys, spare_keys = spare_keys, keys
            moves += 1
    return count, moves
