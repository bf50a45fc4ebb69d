"""FLIP: the difference a person sees when flipping between two images.

Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild: "FLIP: A Difference Evaluator for
Alternating Images", HPG 2020 (LDR-FLIP). Colour difference after contrast-sensitivity filtering, raised
by the difference of edges and points.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.evaluation.colour_space import (
    hunt_lab,
    linear_from_srgb,
    linear_from_ycxcz,
    ycxcz_from_linear,
)
from reconx_ros.evaluation.metrics import Image

Floats = NDArray[np.float64]

PIXELS_PER_DEGREE = 67.0  # a 0.7 m wide 4K screen seen from 0.7 m (paper, section 4)
# Contrast sensitivity (paper, table 1): a1, b1, a2, b2 of the achromatic, red-green, blue-yellow channel.
CONTRAST_SENSITIVITY = (
    (1.0, 0.0047, 0.0, 1e-5),
    (1.0, 0.0053, 0.0, 1e-5),
    (34.1, 0.04, 13.5, 0.025),
)
FEATURE_WIDTH = 0.082  # degrees between the extrema of the edge detector
Q_COLOUR, Q_FEATURE = 0.7, 0.5
P_COLOUR, P_TARGET = 0.4, 0.95  # 40 % of the largest colour difference maps to 0.95


def flip_map(image: Image, truth: Image, pixels_per_degree: float = PIXELS_PER_DEGREE) -> Image:
    """LDR-FLIP of every pixel: ``dE_c ^ (1 - dE_f)``; the figure of an image is its mean.

    Args:
        image: [H, W, 3] sRGB in [0, 1]; values outside are clipped.
        truth: [H, W, 3].
        pixels_per_degree: of the observer's visual angle.

    Returns:
        [H, W] float32 in [0, 1].
    """
    first, second = (_opponent(picture) for picture in (image, truth))
    colour = _colour_difference(first, second, pixels_per_degree)
    feature = _feature_difference(first[..., 0], second[..., 0], pixels_per_degree)
    return np.asarray(colour ** (1.0 - feature), dtype=np.float32)


def _opponent(image: Image) -> Floats:
    return ycxcz_from_linear(linear_from_srgb(np.clip(image, 0, 1).astype(np.float64)))


def _colour_difference(first: Floats, second: Floats, pixels_per_degree: float) -> Floats:
    seen = [hunt_lab(_as_seen(picture, pixels_per_degree)) for picture in (first, second)]
    return _redistribute(_hyab(*seen) ** Q_COLOUR, _largest_difference())


def _as_seen(opponent: Floats, pixels_per_degree: float) -> Floats:
    """Filter each channel by its contrast sensitivity; return linear RGB clipped to the cube."""
    channels = [
        _sensitivity_filter(opponent[..., c], CONTRAST_SENSITIVITY[c], pixels_per_degree) for c in range(3)
    ]
    return np.clip(linear_from_ycxcz(np.stack(channels, axis=-1)), 0, 1)


def _sensitivity_filter(
    channel: Floats, sensitivity: tuple[float, float, float, float], pixels_per_degree: float
) -> Floats:
    """Convolve with ``sum_i a_i sqrt(pi / b_i) exp(-pi^2 d^2 / b_i)``, d in degrees, of unit sum."""
    a1, b1, a2, b2 = sensitivity
    # One radius for all channels: three standard deviations of the widest Gaussian of the table.
    widest = max(max(row[1], row[3]) for row in CONTRAST_SENSITIVITY)
    offsets = _offsets(math.sqrt(widest / (2 * math.pi**2)) * pixels_per_degree)
    filtered, total = np.zeros_like(channel), 0.0
    for a, b in ((a1, b1), (a2, b2)):
        taps = np.exp(-((math.pi * offsets / pixels_per_degree) ** 2) / b)
        weight = a * math.sqrt(math.pi / b)
        filtered += weight * _convolve(channel, taps, taps)
        total += weight * float(taps.sum()) ** 2
    return filtered / total


def _hyab(first: Floats, second: Floats) -> Floats:
    """Hybrid distance: city block in lightness, Euclidean in the chroma plane."""
    delta = first - second
    return np.asarray(np.abs(delta[..., 0]) + np.hypot(delta[..., 1], delta[..., 2]))


def _largest_difference() -> float:
    """Largest colour difference in the sRGB cube, green against blue, after ``Q_COLOUR``."""
    green, blue = (hunt_lab(np.array(colour)) for colour in ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0]))
    return float(_hyab(green, blue) ** Q_COLOUR)


def _redistribute(difference: Floats, largest: float) -> Floats:
    knee = P_COLOUR * largest
    above = P_TARGET + (difference - knee) / (largest - knee) * (1 - P_TARGET)
    return np.clip(np.where(difference < knee, P_TARGET / knee * difference, above), 0, 1)


def _feature_difference(first: Floats, second: Floats, pixels_per_degree: float) -> Floats:
    """``(max(|edge difference|, |point difference|) / sqrt 2) ^ q_f`` on luminance in [0, 1]."""
    sigma = 0.5 * FEATURE_WIDTH * pixels_per_degree
    offsets = _offsets(sigma)
    gaussian = np.exp(-0.5 * (offsets / sigma) ** 2)
    edge = -offsets * gaussian
    point = ((offsets / sigma) ** 2 - 1) * gaussian
    luminance = [(achromatic + 16) / 116 for achromatic in (first, second)]
    differences = [
        np.abs(np.subtract(*(_feature_strength(picture, taps, gaussian) for picture in luminance)))
        for taps in (edge, point)
    ]
    return np.asarray((np.maximum(*differences) / math.sqrt(2)) ** Q_FEATURE)


def _feature_strength(luminance: Floats, detector: Floats, smoother: Floats) -> Floats:
    """Length of the response along x and y; positive taps sum to 1, negative to -1."""
    positive, negative = detector[detector > 0].sum(), -detector[detector < 0].sum()
    taps = np.where(detector > 0, detector / positive, detector / negative)
    smooth = smoother / smoother.sum()
    return np.asarray(np.hypot(_convolve(luminance, taps, smooth), _convolve(luminance, smooth, taps)))


def _offsets(sigma: float) -> Floats:
    radius = math.ceil(3 * sigma)
    return np.arange(-radius, radius + 1, dtype=np.float64)


def _convolve(channel: Floats, along_x: Floats, along_y: Floats) -> Floats:
    return np.asarray(
        cv2.sepFilter2D(channel, cv2.CV_64F, along_x, along_y, borderType=cv2.BORDER_REPLICATE)
    )
