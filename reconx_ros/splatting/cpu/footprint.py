"""The projected covariance of eight Gaussians at once, as the forward and the backward pass need it."""

from collections import namedtuple

import numpy as np
from numba import njit

from reconx_ros.splatting import model
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.functions import ONE, exp
from reconx_ros.splatting.cpu.memory import load_rows3, load_rows4
from reconx_ros.splatting.cpu.simd import fma, maximum, minimum, square_root

LOW_PASS = np.float32(model.LOW_PASS)
TWO = np.float32(2)

# The camera as a float32 array: rows of camera_from_world (3 x 4), then these.
FX, FY, CX, CY, LOW_X, HIGH_X, LOW_Y, HIGH_Y, CENTRE, WIDTH, HEIGHT, VIEW_SIZE = (
    12, 13, 14, 15, 16, 17, 18, 19, 20, 23, 24, 25,
)  # fmt: skip

Footprint = namedtuple(
    "Footprint",
    "x y z inverse_z tangent_x tangent_y clamped_x clamped_y "
    "qw qx qy qz inverse_norm scale_0 scale_1 scale_2 "
    "r00 r01 r02 r10 r11 r12 r20 r21 r22 "
    "t00 t01 t02 t10 t11 t12 p00 p01 p02 p10 p11 p12 xx xy yy sharp_det det",
)
"""Mean in the camera, quaternion, scales, rotation r, t = J W, p = t r, covariance and determinants."""


@njit(**INLINED)
def _dot(a0, a1, a2, b0, b1, b2):
    return fma(a0, b0, fma(a1, b1, a2 * b2))


@njit(**INLINED)
def _row(view, k, x, y, z):
    return fma(view[k], x, fma(view[k + 1], y, fma(view[k + 2], z, view[k + 3])))


@njit(**INLINED)
def _determinant(f0, f1, scale_0, scale_1, scale_2, c0, c1, c2):
    """Return det(M Mᵀ) as the sum of squared minors (Cauchy–Binet): nothing cancels.

    M = J W R S, so its minors are those of J W, in the Gaussian's axes ``c``, times pairs of scales.
    """
    m0, m1, m2 = c0 * scale_1 * scale_2, c1 * scale_0 * scale_2, c2 * scale_0 * scale_1
    area = f0 * f1
    return area * area * _dot(m0, m1, m2, m0, m1, m2)


@njit(**INLINED)
def footprint(means, log_scales, quaternions, i, view):
    """Project Gaussians i to i + 7: Σ' = J W Σ Wᵀ Jᵀ + low-pass (Kerbl et al. 2023, eq. 5)."""
    mx, my, mz = load_rows3(means, 3 * i)
    x, y, z = _row(view, 0, mx, my, mz), _row(view, 4, mx, my, mz), _row(view, 8, mx, my, mz)
    inverse_z = ONE / z
    tx, ty = x * inverse_z, y * inverse_z
    ux = minimum(maximum(tx, view[LOW_X]), view[HIGH_X])
    uy = minimum(maximum(ty, view[LOW_Y]), view[HIGH_Y])
    f0, f1 = inverse_z * view[FX], inverse_z * view[FY]
    t00, t01, t02 = (
        f0 * (view[0] - ux * view[8]),
        f0 * (view[1] - ux * view[9]),
        f0 * (view[2] - ux * view[10]),
    )
    t10, t11, t12 = (
        f1 * (view[4] - uy * view[8]),
        f1 * (view[5] - uy * view[9]),
        f1 * (view[6] - uy * view[10]),
    )

    qw, qx, qy, qz = load_rows4(quaternions, 4 * i)
    inverse_norm = ONE / square_root(qw * qw + _dot(qx, qy, qz, qx, qy, qz))
    qw, qx, qy, qz = qw * inverse_norm, qx * inverse_norm, qy * inverse_norm, qz * inverse_norm
    r00, r11, r22 = (
        ONE - TWO * (qy * qy + qz * qz), ONE - TWO * (qx * qx + qz * qz), ONE - TWO * (qx * qx + qy * qy),
    )  # fmt: skip
    r01, r10 = TWO * (qx * qy - qw * qz), TWO * (qx * qy + qw * qz)
    r02, r20 = TWO * (qx * qz + qw * qy), TWO * (qx * qz - qw * qy)
    r12, r21 = TWO * (qy * qz - qw * qx), TWO * (qy * qz + qw * qx)
    log_0, log_1, log_2 = load_rows3(log_scales, 3 * i)
    scale_0, scale_1, scale_2 = exp(log_0), exp(log_1), exp(log_2)

    p00, p10 = _dot(t00, t01, t02, r00, r10, r20), _dot(t10, t11, t12, r00, r10, r20)
    p01, p11 = _dot(t00, t01, t02, r01, r11, r21), _dot(t10, t11, t12, r01, r11, r21)
    p02, p12 = _dot(t00, t01, t02, r02, r12, r22), _dot(t10, t11, t12, r02, r12, r22)
    a0, a1, a2 = p00 * scale_0, p01 * scale_1, p02 * scale_2
    b0, b1, b2 = p10 * scale_0, p11 * scale_1, p12 * scale_2
    xx, xy, yy = _dot(a0, a1, a2, a0, a1, a2), _dot(a0, a1, a2, b0, b1, b2), _dot(b0, b1, b2, b0, b1, b2)
    # The minors of J W are f0 f1 times the ray (ux, uy, 1) in the world, here in the Gaussian's axes.
    d0 = fma(ux, view[0], fma(uy, view[4], view[8]))
    d1 = fma(ux, view[1], fma(uy, view[5], view[9]))
    d2 = fma(ux, view[2], fma(uy, view[6], view[10]))
    c0, c1, c2 = (
        _dot(d0, d1, d2, r00, r10, r20),
        _dot(d0, d1, d2, r01, r11, r21),
        _dot(d0, d1, d2, r02, r12, r22),
    )
    sharp_det = _determinant(f0, f1, scale_0, scale_1, scale_2, c0, c1, c2)
    det = sharp_det + LOW_PASS * (xx + yy + LOW_PASS)
    return Footprint(
        x, y, z, inverse_z, tx, ty, ux, uy, qw, qx, qy, qz, inverse_norm, scale_0, scale_1, scale_2,
        r00, r01, r02, r10, r11, r12, r20, r21, r22, t00, t01, t02, t10, t11, t12,
        p00, p01, p02, p10, p11, p12, xx + LOW_PASS, xy, yy + LOW_PASS, sharp_det, det,
    )  # fmt: skip
