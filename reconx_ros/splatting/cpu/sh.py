"""Real spherical harmonics up to degree 3 (signs as in 3DGS) and their slopes, eight directions at once.

The values go to ``out``, a float32 scratch array: basis function k of the eight lanes is at 8 k. The
polynomials are those of ``reference.sh_basis``; their slopes treat x, y and z as free, and the caller
takes the part along the sphere.
"""

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.memory import store
from reconx_ros.splatting.cpu.simd import spread

ROWS = 16
"""Basis functions up to degree 3."""

_pi = np.pi
C0 = np.float32(0.5 * np.sqrt(1 / _pi))
C1 = np.float32(np.sqrt(3 / (4 * _pi)))
C2 = np.float32(0.5 * np.sqrt(15 / _pi))
C2Z = np.float32(0.25 * np.sqrt(5 / _pi))
C2X = np.float32(0.25 * np.sqrt(15 / _pi))
C3 = np.float32(0.25 * np.sqrt(35 / (2 * _pi)))
C3XYZ = np.float32(0.5 * np.sqrt(105 / _pi))
C3D = np.float32(0.25 * np.sqrt(21 / (2 * _pi)))
C3Z = np.float32(0.25 * np.sqrt(7 / _pi))
C3X = np.float32(0.25 * np.sqrt(105 / _pi))
TWO, THREE, FOUR, SIX, EIGHT = (np.float32(n) for n in (2, 3, 4, 6, 8))


@njit(**INLINED)
def write_basis(out, degree, x, y, z):
    """Write the values of the (degree + 1)² functions at unit directions."""
    store(out, 0, spread(C0))
    if degree > 0:
        store(out, 8, y * -C1)
        store(out, 16, z * C1)
        store(out, 24, x * -C1)
    if degree > 1:
        xx, yy, zz = x * x, y * y, z * z
        store(out, 32, x * y * C2)
        store(out, 40, y * z * -C2)
        store(out, 48, (zz * TWO - xx - yy) * C2Z)
        store(out, 56, x * z * -C2)
        store(out, 64, (xx - yy) * C2X)
        if degree > 2:
            store(out, 72, y * (xx * THREE - yy) * -C3)
            store(out, 80, x * y * z * C3XYZ)
            store(out, 88, y * (zz * FOUR - xx - yy) * -C3D)
            store(out, 96, z * (zz * TWO - (xx + yy) * THREE) * C3Z)
            store(out, 104, x * (zz * FOUR - xx - yy) * -C3D)
            store(out, 112, z * (xx - yy) * C3X)
            store(out, 120, x * (xx - yy * THREE) * -C3)


@njit(**INLINED)
def _write(out, k, by_x, by_y, by_z):
    store(out, 8 * k, by_x)
    store(out, 8 * (ROWS + k), by_y)
    store(out, 8 * (2 * ROWS + k), by_z)


@njit(**INLINED)
def write_slopes(out, degree, x, y, z):
    """Write the slopes by x (function k at 8 k), by y (at 8 (16 + k)) and by z (at 8 (32 + k))."""
    zero = spread(np.float32(0))
    _write(out, 0, zero, zero, zero)
    if degree > 0:
        one = spread(C1)
        _write(out, 1, zero, -one, zero)
        _write(out, 2, zero, zero, one)
        _write(out, 3, -one, zero, zero)
    if degree > 1:
        _write(out, 4, y * C2, x * C2, zero)
        _write(out, 5, zero, z * -C2, y * -C2)
        _write(out, 6, x * (-TWO * C2Z), y * (-TWO * C2Z), z * (FOUR * C2Z))
        _write(out, 7, z * -C2, zero, x * -C2)
        _write(out, 8, x * (TWO * C2X), y * (-TWO * C2X), zero)
    if degree > 2:
        xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
        _write(out, 9, xy * (-SIX * C3), (xx - yy) * (-THREE * C3), zero)
        _write(out, 10, yz * C3XYZ, xz * C3XYZ, xy * C3XYZ)
        _write(out, 11, xy * (TWO * C3D), (zz * FOUR - xx - yy * THREE) * -C3D, yz * (-EIGHT * C3D))
        _write(out, 12, xz * (-SIX * C3Z), yz * (-SIX * C3Z), (zz * TWO - xx - yy) * (THREE * C3Z))
        _write(out, 13, (zz * FOUR - xx * THREE - yy) * -C3D, xy * (TWO * C3D), xz * (-EIGHT * C3D))
        _write(out, 14, xz * (TWO * C3X), yz * (-TWO * C3X), (xx - yy) * C3X)
        _write(out, 15, (xx - yy) * (-THREE * C3), xy * (SIX * C3), zero)
