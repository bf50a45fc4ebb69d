"""The depth buffer of ``zbuffer.py``, compiled for the CPU."""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from reconx_ros.structure.zbuffer import DEPTH_STEP, DISTANCE_LEVELS, NEAREST, REACH

LEVELS = DISTANCE_LEVELS


def draw_compiled(table: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the index of the splat that each pixel shows.

    Args:
        table: [N, 12, S] (``Splats``).
        size: height, width.

    Returns:
        [N, H·W] int64, −1 where no splat is.
    """
    height, width = size
    index = np.full((len(table), height * width), -1, np.int64)
    best = np.full((height * width,), np.iinfo(np.int32).max, np.int32)
    for number, rows in enumerate(table):
        best[:] = np.iinfo(np.int32).max
        _draw(np.ascontiguousarray(rows), height, width, index[number], best)
    return index


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _draw(
    table: NDArray[np.float32], height: int, width: int, index: NDArray[np.int64], best: NDArray[np.int32]
) -> None:
    step_scale = np.float32(1 / math.log1p(DEPTH_STEP))
    for s in range(table.shape[1]):
        hx, hy, hz = table[0, s], table[1, s], table[2, s]
        if not hz > NEAREST or not table[9, s] > 0:
            continue
        x, y, inverse = hx / hz, hy / hz, 1 / hz
        if not (-8 < x < width + 8 and -8 < y < height + 8):
            continue
        a, b = (table[3, s] - x * table[7, s]) * inverse, (table[4, s] - x * table[8, s]) * inverse
        c, d = (table[5, s] - y * table[7, s]) * inverse, (table[6, s] - y * table[8, s]) * inverse
        determinant = a * d - b * c
        if not determinant > 0:
            continue
        extent = np.float32(REACH) * max(abs(a) + abs(b), abs(c) + abs(d))
        window = 1 if extent <= 1 else (2 if extent <= 2 else 4)
        scale = 1 / determinant
        step = math.floor(math.log(hz / table[9, s]) * step_scale)
        left, top = math.floor(x), math.floor(y)
        for row in range(max(0, top + 1 - window), min(height - 1, top + window) + 1):
            for column in range(max(0, left + 1 - window), min(width - 1, left + window) + 1):
                u = (d * (column - x) - b * (row - y)) * scale
                v = (a * (row - y) - c * (column - x)) * scale
                reach = max(abs(u), abs(v))
                if reach <= REACH:
                    key = np.int32(step * (LEVELS + 1) + int(reach * (LEVELS / REACH)))
                    place = row * width + column
                    if key < best[place]:
                        best[place] = key
                        index[place] = s
