"""Colour spaces of the sRGB family: linear RGB, XYZ, YCxCz and Hunt-adjusted L*a*b* (white D65)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _xyz_from_linear_matrix() -> Floats:
    """Derive the matrix from the chromaticities of the sRGB primaries and white (IEC 61966-2-1)."""
    xy = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]])
    white = np.array([0.3127, 0.3290])
    primaries = np.stack([xy[:, 0] / xy[:, 1], np.ones(3), (1 - xy.sum(1)) / xy[:, 1]])
    white_xyz = np.array([white[0] / white[1], 1.0, (1 - white.sum()) / white[1]])
    return np.asarray(primaries * np.linalg.solve(primaries, white_xyz), dtype=np.float64)


XYZ_FROM_LINEAR = _xyz_from_linear_matrix()
LINEAR_FROM_XYZ: Floats = np.asarray(np.linalg.inv(XYZ_FROM_LINEAR), dtype=np.float64)
WHITE_XYZ: Floats = XYZ_FROM_LINEAR.sum(axis=1)


def linear_from_srgb(srgb: Floats) -> Floats:
    """Undo the sRGB transfer curve; [..., 3] in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def ycxcz_from_linear(linear: Floats) -> Floats:
    """Opponent space, linear in XYZ: ``Y' = 116 Y - 16``, ``Cx = 500 (X - Y)``, ``Cz = 200 (Y - Z)``.

    X, Y, Z are relative to the white.
    """
    x, y, z = _relative_xyz(linear)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def linear_from_ycxcz(opponent: Floats) -> Floats:
    """Invert ``ycxcz_from_linear``."""
    y = (opponent[..., 0] + 16) / 116
    x, z = y + opponent[..., 1] / 500, y - opponent[..., 2] / 200
    return np.asarray((np.stack([x, y, z], axis=-1) * WHITE_XYZ) @ LINEAR_FROM_XYZ.T)


def lab_from_linear(linear: Floats) -> Floats:
    """CIE 1976 L*a*b*; [..., 3] with L* in [0, 100]."""
    x, y, z = (_lab_curve(value) for value in _relative_xyz(linear))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def hunt_lab(linear: Floats) -> Floats:
    """L*a*b* with the Hunt effect: chroma weakens with darkness, ``a, b -> 0.01 L* (a, b)``."""
    lab = lab_from_linear(linear)
    lab[..., 1:] *= 0.01 * lab[..., :1]
    return lab


def _relative_xyz(linear: Floats) -> tuple[Floats, Floats, Floats]:
    xyz = linear @ XYZ_FROM_LINEAR.T / WHITE_XYZ
    return xyz[..., 0], xyz[..., 1], xyz[..., 2]


def _lab_curve(value: Floats) -> Floats:
    delta = 6 / 29
    return np.where(value > delta**3, np.cbrt(value), value / (3 * delta**2) + 4 / 29)
