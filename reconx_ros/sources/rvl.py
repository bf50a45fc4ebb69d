"""RVL: run lengths and variable lengths of 16-bit depth (Wilson, ISS 2017), decoded in numpy."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.encodings import DamagedImageError

MAX_PIXELS = 1 << 27


def decode_rvl(data: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the [rows, columns] image of an RVL stream as compressedDepth writes it.

    Args:
        data: columns and rows as int32, then the stream: numbers of 3-bit groups, each group in a
            nibble whose upper bit says that another follows, nibbles from the top of 32-bit words.
            They are: count of zeros, count of depths, then each depth's difference to the last
            depth (zigzag), and again.

    Raises:
        DamagedImageError: the stream ends early or does not fit its size.
    """
    if data.size < 8:
        raise DamagedImageError(f"RVL depth has {data.size} bytes, less than its header")
    columns, rows = (int(value) for value in data[:8].view("<i4"))
    if columns < 1 or rows < 1 or columns * rows > MAX_PIXELS:
        raise DamagedImageError(f"RVL depth of {columns} x {rows} pixels makes no sense")
    numbers = _numbers(data[8 : 8 + (data.size - 8) // 4 * 4])
    return _fill(numbers, rows * columns).reshape(rows, columns)


def _numbers(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return all variable-length numbers of the stream."""
    upper_first = data.reshape(-1, 4)[:, ::-1].reshape(-1)  # little-endian words, read from the top
    nibbles = np.stack([upper_first >> 4, upper_first & 15], axis=-1).reshape(-1)
    ends = np.flatnonzero(nibbles < 8)
    if not ends.size:
        return np.zeros(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    groups = nibbles[: ends[-1] + 1].astype(np.int64) & 7
    place = np.arange(groups.size) - np.repeat(starts, ends - starts + 1)
    return np.add.reduceat(groups << np.minimum(3 * place, 60), starts)


def _fill(numbers: NDArray[np.int64], pixels: int) -> NDArray[np.uint16]:
    """Return the depths: runs give where they lie, the sum of differences gives their values."""
    out = np.zeros(pixels, np.uint16)
    at, filled, last = 0, 0, 0
    while filled < pixels:
        if at + 2 > numbers.size:
            raise DamagedImageError(f"RVL depth ends after {filled} of {pixels} pixels")
        zeros, count = int(numbers[at]), int(numbers[at + 1])
        zigzag = numbers[at + 2 : at + 2 + max(count, 0)]
        begin = filled + zeros
        if min(zeros, count) < 0 or begin + count > pixels or zigzag.size < count:
            raise DamagedImageError(f"RVL depth breaks after {filled} of {pixels} pixels")
        values = last + np.cumsum((zigzag >> 1) ^ -(zigzag & 1))
        out[begin : begin + count] = values.astype(np.uint16)
        last = int(values[-1]) if count else last
        at, filled = at + 2 + count, begin + count
    return out


def encode_rvl(depth: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the RVL stream of a [rows, columns] image, the inverse of ``decode_rvl``."""
    rows, columns = depth.shape
    header = np.array([columns, rows], "<i4").view(np.uint8)
    return np.concatenate([header, _stream(_runs(depth.reshape(-1)))])


def _runs(depth: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the numbers of the stream: count of zeros, count of depths, zigzag differences, ..."""
    known = depth != 0
    values = depth[known].astype(np.int64)
    steps = np.diff(values, prepend=0)
    zigzag = (steps << 1) ^ (steps >> 63)
    turns = np.flatnonzero(np.diff(known.astype(np.int8))) + 1
    bounds = np.concatenate([[0], turns, [depth.size]])
    if known[0]:
        bounds = np.concatenate([[0], bounds])  # an empty run of zeros comes first
    if len(bounds) % 2 == 0:
        bounds = np.concatenate([bounds, [depth.size]])
    zeros, counts = np.diff(bounds)[0::2], np.diff(bounds)[1::2]
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
    places = np.repeat(begins, 2)
    return np.insert(zigzag, places, np.stack([zeros, counts], axis=1).reshape(-1))


def _stream(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return numbers as nibbles of 3 bits, the upper bit saying that another follows, in words."""
    groups = np.maximum(1, (np.frexp(numbers.astype(np.float64))[1] + 2) // 3)
    place = np.arange(groups.sum()) - np.repeat(np.cumsum(groups) - groups, groups)
    nibbles = (np.repeat(numbers, groups) >> (3 * place)) & 7
    nibbles |= np.where(place < np.repeat(groups, groups) - 1, 8, 0)
    padded = np.zeros(-(-len(nibbles) // 8) * 8, np.uint8)
    padded[: len(nibbles)] = nibbles
    octets = padded[0::2] << 4 | padded[1::2]
    return np.ascontiguousarray(octets.reshape(-1, 4)[:, ::-1]).reshape(-1)
