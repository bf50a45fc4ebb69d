"""Where a Gaussian reaches the rows of a tile, eight rows at once.

A tile keeps several numbers a pixel: all numbers of a row of pixels lie together, one after another.
Planes a power of two apart would make the processor take a load from one for a store to another.
"""

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.memory import item, store, store_whole
from reconx_ros.splatting.cpu.simd import down, fma, maximum, minimum, ramp, square_root, up

ZERO, EIGHT, EIGHTH = np.float32(0), np.float32(8), np.float32(0.125)
LAST_ROW, LAST_COLUMN = np.float32(s.TILE_HEIGHT - 1), np.float32(s.TILE_WIDTH - 1)
TILE_WIDTH = np.float32(s.TILE_WIDTH)
ROOM = s.TILE_HEIGHT + 8
"""Items a quantity takes in the scratch arrays of ``spans``, which writes eight at a time."""

START, SEGMENTS = 0, ROOM
"""In ``whole``: the column a row's pixels start at, and how many groups of eight they are."""

LEVEL, OFFSET = 0, ROOM
"""In ``real``: PEAK - v² of a row, and u at its start column."""


@njit(**INLINED)
def spans(records, r, left, top, whole, real):
    """Find the pixels that the Gaussian with its record at r reaches in the tile at (left, top).

    Groups of eight pixels start where the ellipse does, not at multiples of eight, and end within
    the tile.

    Returns:
        first and last row; for these, ``whole`` [2 ROOM] int32 and ``real`` [2 ROOM] float32 are
        filled as the constants above say.
    """
    x, y = item(records, r + s.X) - left, item(records, r + s.Y) - top
    sharp_x, sharp_y = item(records, r + s.SHARP_X), item(records, r + s.SHARP_Y)
    half_y = item(records, r + s.HALF_Y)
    first = int(maximum(up(y - half_y), ZERO))
    last = int(minimum(down(y + half_y), LAST_ROW))
    for row in range(first, last + 1, 8):
        dy = ramp() + (np.float32(row) - y)
        v = dy * sharp_y
        centre = fma(dy, item(records, r + s.SLOPE), x)
        rest = item(records, r + s.REACH) - v * v
        half = square_root(maximum(rest, ZERO)) * item(records, r + s.SPREAD_X)
        begin = maximum(up(centre - half), ZERO)
        end = minimum(down(centre + half), LAST_COLUMN)
        segments = maximum(down((end - begin + EIGHT) * EIGHTH), ZERO)
        begin = minimum(begin, TILE_WIDTH - segments * EIGHT)
        store_whole(whole, START + row, begin)
        store_whole(whole, SEGMENTS + row, segments)
        store(real, LEVEL + row, item(records, r + s.PEAK) - v * v)
        store(real, OFFSET + row, (begin - centre) * sharp_x)
    return first, last
