"""``closing.py``, compiled for the CPU."""

import numba
import numpy as np
from numpy.typing import NDArray

from reconx_ros.structure.closing import BEHIND, FARTHEST, SPANS
from reconx_ros.structure.reference_surface import EDGE
from reconx_ros.structure.splats_kernel import coordinates

STEPS = tuple((down, 1 - down, before, after) for down in (0, 1) for before, after in SPANS)


def close_compiled(
    table: NDArray[np.float32], index: NDArray[np.int64], size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Close gaps and cracks.

    Args:
        table: [N, 12, S] (``Splats``).
        index: [N, H·W], −1 where no splat is.
        size: H, W.

    Returns:
        index with the gaps closed, and where it was changed, [N, H·W] bool.
    """
    now, changed = index.copy(), np.zeros(index.shape, np.bool_)
    for number, rows in enumerate(table):
        inverse = _inverse_depth(rows, now[number], size[1])
        for down, right, before, after in STEPS:
            _step(inverse.copy(), now[number].copy(), inverse, now[number], changed[number], size,
                  (down, right), before, after)  # fmt: skip
        _open(rows, now[number], changed[number], size[1])
    return now, changed


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _inverse_depth(table: NDArray[np.float32], index: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    inverse = np.zeros(len(index), np.float32)
    for place in range(len(index)):
        if index[place] >= 0:
            x, y = np.float32(place % width), np.float32(place // width)
            inverse[place] = coordinates(table, index[place], x, y)[2]
    return inverse


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _step(
    old_inverse: NDArray[np.float32],
    old_index: NDArray[np.int64],
    inverse: NDArray[np.float32],
    index: NDArray[np.int64],
    changed: NDArray[np.bool_],
    size: tuple[int, int],
    along: tuple[int, int],
    before: int,
    after: int,
) -> None:
    height, width = size
    stride = along[0] * width + along[1]
    for row in range(along[0] * before, height - along[0] * after):
        for column in range(along[1] * before, width - along[1] * after):
            place = row * width + column
            first, second = old_inverse[place - before * stride], old_inverse[place + after * stride]
            less, more = min(first, second), max(first, second)
            here = old_inverse[place]
            if here * (1 + BEHIND) >= less or more - less > EDGE * more or not less > 0:
                continue
            if here == 0 or before + after == 2:
                index[place] = old_index[place - before * stride]
                inverse[place] = less
                changed[place] = True


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _open(
    table: NDArray[np.float32], index: NDArray[np.int64], changed: NDArray[np.bool_], width: int
) -> None:
    for place in range(len(index)):
        if changed[place]:
            x, y = np.float32(place % width), np.float32(place // width)
            u, v, inverse = coordinates(table, index[place], x, y)
            if max(abs(u), abs(v)) > FARTHEST or not inverse > 0:
                index[place] = -1
