"""The equation of ``splats.py``, compiled for the CPU."""

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def coordinates(table: NDArray[np.float32], s: int, x: float, y: float) -> tuple[float, float, float]:
    """Return δ₁, δ₂ and the inverse depth of splat ``s`` of ``table`` [12, S] at pixel (x, y)."""
    hx, hy, hz = table[0, s], table[1, s], table[2, s]
    a, b = table[3, s] - x * table[7, s], table[4, s] - x * table[8, s]
    c, d = table[5, s] - y * table[7, s], table[6, s] - y * table[8, s]
    right_x, right_y = x * hz - hx, y * hz - hy
    determinant = a * d - b * c
    if abs(determinant) < 1e-12:
        determinant = np.float32(1e-12)
    u, v = (d * right_x - b * right_y) / determinant, (a * right_y - c * right_x) / determinant
    top = table[9, s] + table[10, s] * u + table[11, s] * v
    return u, v, top / (hz + table[7, s] * u + table[8, s] * v)


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def magnification(table: NDArray[np.float32], s: int) -> float:
    """Return the area in target pixels of one unit of δ of splat ``s`` of ``table`` [12, S]."""
    hz = table[2, s]
    x, y = table[0, s] / hz, table[1, s] / hz
    a, b = table[3, s] - x * table[7, s], table[4, s] - x * table[8, s]
    c, d = table[5, s] - y * table[7, s], table[6, s] - y * table[8, s]
    return float(abs(a * d - b * c) / (hz * hz))
