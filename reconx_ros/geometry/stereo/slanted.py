"""Slanted planes through a depth map, which the planes of the sweep, facing the image, cut into steps.

A plane of the world is linear in inverse depth over the image,

    w(x, y) = w_0 + a x + b y,

so the plane around each pixel is a weighted least-squares fit in a square window. Pixels that lie more than
about ``NEAR`` planes of the sweep off it belong to another surface: they are weighted by
``exp(-(r / NEAR)^2)`` of a second fit. A pixel that lies as far off itself stays as it was matched, and so
does the whole window where few lie near.
All sums are box filters: the work does not depend on the size of the window.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Array = NDArray[np.float64]

RADII = (4, 10)
"""Half the window in pixels, one fit after the other."""

NEAR = 1.5
"""Planes of the sweep."""

LEAST_WEIGHT = 0.02

LEAST_SPREAD = 0.01
"""Square pixels added to the second moments: a window with pixels in one line alone has no plane."""

LEAST_SUPPORT = 0.3
"""Share of the weight of a window that must lie near the first fit: across an edge it is no surface."""


def fit_planes(inverse: Floats, margin: Floats, step: float) -> Floats:
    """Return inverse depths [H, W] on the planes that fit around each pixel, NaN where they were.

    Args:
        inverse: [H, W] inverse depths, NaN unknown.
        margin: [H, W] in [0, 1], weights: how clearly each was matched.
        step: between two planes of the sweep.
    """
    known = np.isfinite(inverse)
    weight = np.where(known, np.clip(margin, LEAST_WEIGHT, 1), 0).astype(np.float64)
    fitted = np.where(known, inverse, 0).astype(np.float64)
    for radius in RADII:
        first = _plane_at(fitted, weight, radius)
        own = weight * np.exp(-np.square((fitted - first) / (NEAR * step)))
        plane = _plane_at(fitted, own, radius)
        near = np.abs(fitted - plane) < NEAR * step
        near &= _window_sum(own, radius) > LEAST_SUPPORT * _window_sum(weight, radius)
        fitted = np.where(near, plane, fitted)
    return np.where(known, fitted, np.nan).astype(np.float32)


def _plane_at(values: Array, weight: Array, radius: int) -> Array:
    """Return [H, W] the value at each pixel of the plane fitted to the window around it."""
    height, width = values.shape
    x = np.arange(width, dtype=np.float64) - width / 2
    y = (np.arange(height, dtype=np.float64) - height / 2)[:, None]
    total = _window_sum(weight, radius) + 1e-9

    def mean(what: Array) -> Array:
        return _window_sum(weight * what, radius) / total

    mean_x, mean_y, mean_w = mean(x + 0 * y), mean(y + 0 * x), mean(values)
    xx = mean(x * x + 0 * y) - mean_x**2 + LEAST_SPREAD
    yy = mean(y * y + 0 * x) - mean_y**2 + LEAST_SPREAD
    xy = mean(x * y) - mean_x * mean_y
    xw, yw = mean(x * values) - mean_x * mean_w, mean(y * values) - mean_y * mean_w
    determinant = xx * yy - xy**2
    a, b = (xw * yy - yw * xy) / determinant, (yw * xx - xw * xy) / determinant
    return np.asarray(mean_w + a * (x - mean_x) + b * (y - mean_y))


def _window_sum(values: Array, radius: int) -> Array:
    """Return the sums over the window around each pixel, as far as it lies inside the image."""
    size = (2 * radius + 1,) * 2
    return np.asarray(cv2.boxFilter(values, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT))
