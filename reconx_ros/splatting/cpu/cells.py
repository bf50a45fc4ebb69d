"""Which cells of a tile a Gaussian reaches, and its exponent there.

A tile of 32 x 32 pixels is 8 x 8 cells of 4 x 4. The pixels of a cell are the lanes of one vector, so
all a tile keeps lies cell by cell: vectors never straddle cache lines nor share pixels, and a Gaussian
of a few pixels wastes few lanes. Cell (column, row) is bit 8 column + row of a whole number of 64 bits.
"""

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.memory import item, load16, store
from reconx_ros.splatting.cpu.simd import (
    any_set,
    bits16,
    columns16,
    fma,
    halves16,
    maximum,
    minimum,
    ramp,
    rows16,
    select,
    spread,
    spread16,
    square_root,
    twice,
)

ZERO, THREE, FOUR = np.float32(0), np.float32(3), np.float32(4)
CELLS = 64
LANES = 16
"""Pixels of a cell."""

SIDE = 4
"""Pixels of a side of a cell."""

DOUBT = np.float32(2e-3)
"""Pixels by which the ellipse is widened here: rounding must not lose a pixel that ``alpha`` finds."""

FAR = np.float32(1e9)

U_COLUMN, U_ROW, V_ROW = 0, 8, 16
ROOM = 24
"""In the scratch array of ``place``: what the columns and rows of cells add to u, and the rows to v."""


@njit(**INLINED)
def reached_cells(records, r, x, y):
    """Return the cells that the ellipse of the record at r touches when its mean is at (x, y).

    All eight rows of cells at once: between two y, the ellipse reaches furthest to the side at the y
    of its extreme point, or at the y nearest to that.
    """
    half_y, tilt = spread(item(records, r + s.HALF_Y) + DOUBT), item(records, r + s.TILT)
    top = ramp() * FOUR - y
    low, high = maximum(top, -half_y), minimum(top + THREE, half_y)
    y_left, y_right = minimum(maximum(-tilt, low), high), minimum(maximum(tilt, low), high)
    reach, sharp_y = item(records, r + s.REACH), item(records, r + s.SHARP_Y)
    slope, spread_x = item(records, r + s.SLOPE), item(records, r + s.SPREAD_X)
    v_left, v_right = y_left * sharp_y, y_right * sharp_y
    half_left = square_root(maximum(fma(-v_left, v_left, reach), ZERO)) * spread_x
    half_right = square_root(maximum(fma(-v_right, v_right, reach), ZERO)) * spread_x
    left = fma(y_left, slope, x - DOUBT) - half_left
    right = fma(y_right, slope, x + DOUBT) + half_right
    right = select(low <= high, right, -FAR)
    lefts, rights = twice(left), twice(right)
    start = halves16() * FOUR
    bits = 0
    for pair in range(4):
        first = start + np.float32(8 * pair)
        bits |= bits16((lefts <= first + THREE) & (rights >= first)) << (16 * pair)
    return bits


@njit(**INLINED)
def place(records, r, x, y, scratch):
    """Return u and v of the pixels of the cell at (0, 0) less what ``scratch`` adds for the cell."""
    sharp_x, sharp_y = item(records, r + s.SHARP_X), item(records, r + s.SHARP_Y)
    slope = item(records, r + s.SLOPE)
    corner = ramp() * FOUR
    dy = corner - y
    store(scratch, U_COLUMN, (corner - x) * sharp_x)
    store(scratch, U_ROW, dy * (-slope * sharp_x))
    store(scratch, V_ROW, dy * sharp_y)
    return fma(rows16(), -slope, columns16()) * sharp_x, rows16() * sharp_y


@njit(**INLINED)
def u_and_v(u, v, cell, scratch):
    """Return u and v of the pixels of a cell (see ``splats``)."""
    row = cell & 7
    across = item(scratch, U_COLUMN + (cell >> 3))
    return u + across + item(scratch, U_ROW + row), v + item(scratch, V_ROW + row)


@njit(**INLINED)
def open_cells(planes, stride):
    """Return the cells with a pixel that can still take a Gaussian: its transmittance is positive."""
    bits = 0
    for cell in range(CELLS):
        if any_set(load16(planes, cell * stride) > ZERO):
            bits |= 1 << cell
    return bits


@njit(**INLINED)
def fill(array, at, value):
    """Write a number to the pixels of a cell."""
    store(array, at, spread16(value))
