"""Which pairs of views show the same place: what a network says of two that do not is made up.

DUSt3R answers for any two images. Two things tell an answer that means something: that the network is
sure of where the second view's points lie in the first's frame, and that it says the same when asked the
other way round.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.similarity import fit_robustly, weighted_median

Array = NDArray[np.float64]

SURE = 2.0
"""Confidence of a point that tells something. In training DUSt3R pays ``C error - 0.2 log C``, least where
C is ``0.2 / error`` with the error a share of the scene's size: 2 says that it is 10 % off."""

SURE_SHARE = 0.05
"""Of the second view's pixels that must be so sure."""

BOTH_WAYS = 0.25
"""Share of the extent of a view's points by which both ways round may differ about half of them."""

LEAST_POINTS = 12
SAMPLES = 400
"""Pixels of each view that are looked at."""


def connecting(pairs: Sequence[PairPointMaps]) -> list[PairPointMaps]:
    """Return those of ``pairs`` whose two views show the same place, in their order.

    A pair that is there both ways round stays or goes as one.
    """
    way = {pair.views: pair for pair in pairs}
    kept = []
    for pair in pairs:
        reverse = way.get((pair.second, pair.first))
        sure = is_sure(pair) and (reverse is None or is_sure(reverse))
        if sure and (reverse is None or disagreement(pair, reverse) <= BOTH_WAYS):
            kept.append(pair)
    return kept


def is_sure(pair: PairPointMaps) -> bool:
    """Return whether enough of the second view is placed with confidence in the first's frame."""
    return float(np.mean(pair.confidence[1] >= SURE)) >= SURE_SHARE


def disagreement(pair: PairPointMaps, reverse: PairPointMaps) -> float:
    """Return how far apart lies what both ways round say, once laid over, as a share of its extent.

    One similarity must bring the points of both views from the frame of ``reverse`` to that of ``pair``:
    the shape of each view alone always fits, where they stand to each other does not. The larger of the
    medians of the two views; infinite where they have too few points in common.
    """
    views = [_common(pair, reverse, side) for side in (0, 1)]
    source, target, weight = (np.concatenate(part) for part in zip(*views, strict=True))
    if min(np.count_nonzero(own) for _, _, own in views) < LEAST_POINTS:
        return float("inf")
    fit = fit_robustly(source, target, weight, with_scale=not pair.metric)
    return max(_apart(fit.apply(own), aim, share) for own, aim, share in views)


def _apart(points: Array, target: Array, weight: Array) -> float:
    """Return the median distance of ``points`` from ``target`` over that of ``target`` from its middle."""
    middle = np.array([weighted_median(axis, weight) for axis in target.T])
    extent = weighted_median(np.linalg.norm(target - middle, axis=1), weight)
    return weighted_median(np.linalg.norm(target - points, axis=1), weight) / max(extent, 1e-12)


def _common(pair: PairPointMaps, reverse: PairPointMaps, side: int) -> tuple[Array, Array, Array]:
    """Return what ``reverse`` and ``pair`` say of one view [M, 3], and weights [M], where both know it."""
    step = max(1, int(np.sqrt(pair.confidence[side].size / SAMPLES)))
    every = np.s_[step // 2 :: step, step // 2 :: step]
    target, source = pair.points[side][every], reverse.points[1 - side][every]
    sure = np.minimum(pair.confidence[side][every], reverse.confidence[1 - side][every])
    weight = np.log(np.maximum(sure.astype(np.float64), 1.0))
    known = np.isfinite(target).all(axis=2) & np.isfinite(source).all(axis=2) & (weight > 0)
    return source[known].astype(np.float64), target[known].astype(np.float64), weight[known]
