"""What a matched depth is worth: its deviation, and the probability that it is right at all.

    C = 1 + P * (RHO / s)^2,      s^2 = (MATCHING / shift)^2 + FLOOR^2

as for measured depth (``reconx_ros.geometry.confidence``): ``s`` is the relative deviation of a right
match, ``MATCHING`` pixels over the pixels that the point would move if its depth changed by its own
size, and a floor for calibration and poses. ``P`` is a logistic function of what matching saw: how well
the windows agree, how clearly the winner wins, how many depth maps of other views agree, how many see
through the point, how near the next depth edge is. Its coefficients are fitted to sensor depth
(`benchmarks/stereo.py --fit`).
"""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.confidence import RHO

Floats = NDArray[np.float32]

MATCHING = 0.25
"""Pixels, standard deviation of a right match."""

FLOOR = 0.004

PRIOR = -1.0
COST = -3.0
MARGIN = 4.0
AGREES = 1.5
CONTRADICTS = -2.0


def matching_deviation(shift: Floats) -> Floats:
    """Return the relative standard deviation of a right match, [H, W]."""
    return np.asarray(np.sqrt(np.square(MATCHING / shift) + FLOOR * FLOOR), dtype=np.float32)


def probability(
    cost: Floats, margin: Floats, agrees: NDArray[np.integer], through: NDArray[np.integer]
) -> Floats:
    """Return P in (0, 1), [H, W]."""
    odds = PRIOR + COST * cost + MARGIN * margin + AGREES * agrees + CONTRADICTS * through
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)


def stereo_confidence(deviation: Floats, right: Floats) -> Floats:
    """Return C >= 1, [H, W]; exactly 1 where ``deviation`` is NaN."""
    gain = right * np.square(np.float32(RHO) / deviation)
    return np.asarray(1 + np.where(np.isfinite(gain), gain, np.float32(0)), dtype=np.float32)
