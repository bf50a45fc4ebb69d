"""Elementary functions on vectors, to about one unit in the last place."""

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.simd import (
    binary_exponent,
    fma,
    maximum,
    minimum,
    nearest,
    scale_by_power,
    spread,
)

LOG2_E = np.float32(np.log2(np.e))
ONE = np.float32(1)

# 2^f = Σ c_k f^k on [-1/2, 1/2]: least squares of the relative error at Chebyshev nodes, error < 8e-8.
_E0, _E1, _E2 = (
    np.float32(1.000000071029699),
    np.float32(0.6931469491610645),
    np.float32(0.24022121753561643),
)
_E3, _E4 = np.float32(0.055507426160021765), np.float32(0.009675459745521371)
_E5 = np.float32(0.001326697038648297)
_LOWEST, _HIGHEST = np.float32(-126), np.float32(126)

# log2(m) = 2/ln2 artanh(t), t = (m - 1)/(m + 1), |t| < 0.172: five terms of the series, error < 1e-9.
_L1, _L3, _L5, _L7, _L9 = (np.float32(2 / np.log(2) / k) for k in (1, 3, 5, 7, 9))


@njit(**INLINED)
def exp2(x):
    """Return 2^x for x in [-126, 126], clamped to that range; NaN gives no particular number."""
    return exp2_unclamped(minimum(maximum(x, _LOWEST), _HIGHEST))


@njit(**INLINED)
def exp2_unclamped(x):
    """Return 2^x for x in [-126, 126]; other x give no particular number."""
    whole = nearest(x)
    f = x - whole
    even = fma(fma(_E5, f, _E4), f, _E3)
    return scale_by_power(fma(fma(fma(even, f, _E2), f, _E1), f, _E0), whole)


@njit(**INLINED)
def exp(x):
    """Return e^x."""
    return exp2(x * LOG2_E)


@njit(**INLINED)
def log2(x):
    """Return the logarithm to base 2 of normal positive numbers."""
    whole = binary_exponent(x)
    m = scale_by_power(x, -whole)
    t = (m - ONE) / (m + ONE)
    tt = t * t
    series = fma(fma(fma(fma(spread(_L9), tt, _L7), tt, _L5), tt, _L3), tt, _L1)
    return fma(series, t, whole)


@njit(**INLINED)
def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return ONE / (ONE + exp(-x))
