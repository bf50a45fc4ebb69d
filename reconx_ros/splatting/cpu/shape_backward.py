"""Backward pass of the projected covariance, eight Gaussians at once."""

from collections import namedtuple

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.footprint import LOW_PASS, TWO
from reconx_ros.splatting.cpu.functions import ONE
from reconx_ros.splatting.cpu.project import HALF
from reconx_ros.splatting.cpu.simd import fma, square_root

LN2 = np.float32(np.log(2))
TINY = np.float32(1e-30)

ByShape = namedtuple("ByShape", "xx xy yy x y")
"""Gradients of the low-passed covariance and of the mean in the image."""


@njit(**INLINED)
def shape_backward(p, q_1, q_u, q_uu, q_uv, q_v, q_vv, compensate):
    """Return the gradients of the ellipse, given the sums over its pixels (``splats.SLOT``).

    PEAK, SHARP_X, SHARP_Y and SLOPE (see ``splats``) are functions of Σ'yy, of the variance
    det / Σ'yy left within a row, and of Σ'xy / Σ'yy.
    """
    q_u, q_uu, q_uv, q_v, q_vv = q_u * LN2, q_uu * LN2, q_uv * LN2, q_v * LN2, q_vv * LN2
    inverse_yy, inverse_det = ONE / p.yy, ONE / p.det
    slope = p.xy * inverse_yy
    factor = TWO * s.SHARPNESS * square_root(p.yy * inverse_det)
    by_slope = TWO * q_uv * square_root(inverse_det)
    by_xx = q_uu * p.yy * inverse_det
    by_xy = by_slope - TWO * slope * by_xx
    by_yy = inverse_yy * q_vv - slope * by_slope + slope * slope * by_xx
    if compensate:  # the logarithm of the opacity holds ½ (log det sharp - log det)
        weight, sharp = HALF * q_1, ONE / (p.sharp_det + TINY)
        by_xx = by_xx + weight * ((p.yy - LOW_PASS) * sharp - p.yy * inverse_det)
        by_xy = by_xy - TWO * weight * p.xy * (sharp - inverse_det)
        by_yy = by_yy + weight * ((p.xx - LOW_PASS) * sharp - p.xx * inverse_det)
    by_x = factor * q_u
    by_y = TWO * s.SHARPNESS * square_root(inverse_yy) * q_v - slope * by_x
    return ByShape(by_xx, by_xy, by_yy, by_x, by_y)


@njit(**INLINED)
def axis_backward(p0, p1, scale, by):
    """Return for one axis of the Gaussian the gradients of p0 and p1, and of the logarithm of its scale."""
    m0, m1 = p0 * scale, p1 * scale
    by_m0 = fma(TWO * by.xx, m0, by.xy * m1)
    by_m1 = fma(TWO * by.yy, m1, by.xy * m0)
    return by_m0 * scale, by_m1 * scale, fma(by_m0, m0, by_m1 * m1)
