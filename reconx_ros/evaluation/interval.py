"""How sure a mean difference is: bootstrap over what was drawn independently, clips or views."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """A mean over clips, with its 95 % bootstrap interval; clips are drawn whole."""

    mean: float
    low: float
    high: float
    clips: int


def gain(first: Floats, second: Floats, seed: int = 0) -> Gain:
    """Return how much better ``first`` is than ``second``, both [clips, F] dB with NaN for no answer."""
    difference = first - second
    counted = np.isfinite(difference)
    each = np.where(counted, difference, 0).sum(1)[counted.any(1)] / counted.sum(1)[counted.any(1)]
    if len(each) == 0:
        return Gain(float("nan"), float("nan"), float("nan"), 0)
    random = np.random.default_rng(seed)
    means = each[random.integers(0, len(each), (RESAMPLES, len(each)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Gain(float(each.mean()), float(low), float(high), len(each))


def ratio(first: Floats, second: Floats, seed: int = 0) -> Gain:
    """Return the sum of ``first`` over that of ``second``, both [clips, F]; NaN in either is left out."""
    known = np.isfinite(first) & np.isfinite(second)
    above, below = (np.where(known, values, 0).sum(1)[known.any(1)] for values in (first, second))
    if not below.any():
        return Gain(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(seed).integers(0, len(above), (RESAMPLES, len(above)))
    low, high = np.quantile(above[drawn].sum(1) / np.maximum(below[drawn].sum(1), 1e-12), (0.025, 0.975))
    return Gain(float(above.sum() / below.sum()), float(low), float(high), len(above))
