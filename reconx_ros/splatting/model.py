"""The image formation model that every rasterizer here implements, as constants.

3D Gaussian splatting (Kerbl et al. 2023) with EWA projection (Zwicker et al. 2001). The cut-offs are
those of gsplat, so that all backends agree to rounding. They are compiled into the CPU kernels.
"""

import numpy as np

from reconx_ros.camera import Camera

NEAR = 0.01
"""Metres along the optical axis; means at or before it are not drawn."""

LOW_PASS = 0.3
"""Pixels²; added to both variances of a projected Gaussian so that none slips between pixels."""

FIELD_MARGIN = 0.3
"""The projection is linearised at most this share of the half field of view beyond the image border."""

ALPHA_MIN = 1.0 / 255.0
"""A Gaussian is left out of the pixels where its alpha is below this."""

ALPHA_MAX = 0.99
"""Alpha is clipped to this (as in Kerbl et al. and gsplat from 1.6; gsplat 1.5 clips to 0.999)."""

TRANSMITTANCE_MIN = 1e-4
"""The Gaussian that would take a pixel's transmittance to this or less, and all behind it, are left out."""


def tangent_limits(camera: Camera) -> tuple[float, float, float, float]:
    """Return (x low, x high, y low, y high): the range x/z and y/z are clamped to in the Jacobian."""
    limits: list[float] = []
    for axis, size in ((0, camera.width), (1, camera.height)):
        focal, centre = camera.intrinsics[axis, axis], camera.intrinsics[axis, 2] + 0.5
        margin = FIELD_MARGIN * 0.5 * size / focal
        limits += [float(-centre / focal - margin), float((size - centre) / focal + margin)]
    return limits[0], limits[1], limits[2], limits[3]


def sh_rows(degree: int) -> int:
    """Return the number of spherical-harmonics coefficients up to ``degree``."""
    return (degree + 1) ** 2


def camera_is_usable(camera: Camera) -> bool:
    """Return whether the camera has pixels, positive focal lengths and finite numbers."""
    numbers = np.isfinite(camera.intrinsics).all() and np.isfinite(camera.world_from_camera).all()
    focal = camera.intrinsics[0, 0] > 0 and camera.intrinsics[1, 1] > 0
    return bool(numbers and focal and camera.width > 0 and camera.height > 0)
