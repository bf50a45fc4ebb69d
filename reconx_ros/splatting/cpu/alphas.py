"""How opaque a Gaussian is at the pixels of a cell, the same in the forward and the backward pass."""

import numpy as np
from numba import njit

from reconx_ros.splatting import model
from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.cells import CELLS, LANES, ROOM, ZERO, place, u_and_v
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.functions import exp2_unclamped
from reconx_ros.splatting.cpu.memory import item, load16, store
from reconx_ros.splatting.cpu.simd import first_bit, fma, select, spread16, without_first_bit

ALPHA_MAX = np.float32(model.ALPHA_MAX)
TRANSMITTANCE_MIN = np.float32(model.TRANSMITTANCE_MIN)

ALPHAS = ROOM
"""Where in the scratch array ``write_alphas`` writes."""

SCRATCH = ALPHAS + CELLS * LANES
"""Floats of scratch that drawing a Gaussian takes."""


@njit(**INLINED)
def exponent(u, v, peak):
    """Return peak - u² - v²."""
    return fma(-u, u, fma(-v, v, peak))


@njit(**INLINED)
def power(exponent):
    """Return 2^exponent, zero where that is below 1/255."""
    return select(exponent >= s.LOWEST, exp2_unclamped(exponent), ZERO)


@njit(**INLINED)
def unclipped_alpha(u, v, peak):
    """Return 2^(peak - u² - v²), zero where that is below 1/255."""
    return power(exponent(u, v, peak))


@njit(**INLINED)
def write_alphas(records, r, x, y, cells, scratch):
    """Write the unclipped alphas in ``cells``, one cell after the other, of the record at r.

    In two passes: an exponent and its power wait for each other, and a processor looks ahead only some
    two hundred instructions for something else to do.

    Args:
        records: see ``splats``.
        r: the record's first number.
        x: its mean, relative to the tile.
        y: likewise.
        cells: see ``cells``.
        scratch: [SCRATCH] float32, receives the alphas at ``ALPHAS``, and at 0 what ``place`` writes.

    Returns:
        u and v as ``place`` does.
    """
    peak = spread16(item(records, r + s.PEAK))
    u_0, v_0 = place(records, r, x, y, scratch)
    end = ALPHAS
    while cells != 0:
        cell = first_bit(cells)
        cells = without_first_bit(cells)
        u, v = u_and_v(u_0, v_0, cell, scratch)
        store(scratch, end, exponent(u, v, peak))
        end += LANES
    for at in range(ALPHAS, end, LANES):
        store(scratch, at, power(load16(scratch, at)))
    return u_0, v_0
