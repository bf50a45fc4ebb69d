"""What a matched depth is worth: the probability that it is right.

    c = 1 / (1 + exp(-(sum of weight x feature))),      C = 1 / (1 - c)

is the probability that the depth lies within ``RIGHT`` of the true one, a logistic function of what was
seen: how well the windows agree (``cost``), how clearly the winner wins (``margin``), how many other depth
maps agree, how many see through the point and how many see something before it, how far the next depth
edge is (``edge_weight``), and how likely a right match is that exact (``exact``):

    exact = (erf((RIGHT - b) / (s sqrt 2)) + erf((RIGHT + b) / (s sqrt 2))) / 2
    s^2 = (SPREAD spread)^2 + (MATCHING / shift)^2 + FLOOR^2

``s`` is the relative deviation of a right match. ``spread`` is how far the depth maps of this view and its
neighbours differ where they show the same surface: it holds what the errors of poses and intrinsics do,
and is small where those are exact. Depth maps share errors, therefore the factor. ``MATCHING`` pixels over
``shift``, the pixels that the point would move if its depth changed by its own size, is what matching alone
leaves. ``b`` is the error that a wrong focal length causes beyond doubt (``focal.Verdict``), which depth
maps do not see in each other. C - 1, the weight in fusion, is the odds of being right.

Two depth maps of one pair of views agree however long its baseline is: only a third knows better. Where
fewer than two others show what a depth map shows, depth is as uncertain as that baseline
(``resting_on_a_pair``).

The weights are fitted to sensor depth (``python benchmarks/stereo.py --fit``), the reliability of ``c`` is
measured on other frames (``docs/stereo.md``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from reconx_ros.geometry.agreement import AGREES, CONTRADICTS, HIDDEN, MeasuredView, judge
from reconx_ros.geometry.confidence import edge_weight
from reconx_ros.geometry.stereo.depth_map import DepthMap

Floats = NDArray[np.float32]

RIGHT = 0.05
"""Relative error of a depth that is right; as for held-out views (``evaluation.calibration``)."""

MOST = 0.98
"""Probability at most: what the fit was never shown is not certain."""

SPREAD = 3.3
MATCHING = 0.25
FLOOR = 0.004

ALONE = 0.02
"""Spread assumed where no other depth map shows the same surface."""

SAME_SURFACE = 0.1
"""Relative difference of two depth maps over which they show different surfaces."""

EDGE_RATIO = 0.05
"""Relative depth step that is an edge."""

CONFIRMING = 0.6
"""Share of the pixels in common that must show the same surface: of depth maps that found nothing up to
half do so by chance."""

LEAST_TOLERANCE = 0.01
"""Relative difference of two depth maps that always agrees."""

LEAST_MARGIN = 0.02
"""Without texture all planes cost the same, in every view: that such depth maps agree means nothing."""

LEAST_EDGE = 0.3
"""``edge_weight`` two pixels from a depth edge is 0.39, one pixel 0.12: nearer, windows mix two surfaces,
and what they show in few views would be taken for right where poses are exact."""

WEIGHTS = {
    "prior": -4.47,
    "cost": 0.2,
    "margin": 0.18,
    "agrees": 0.13,
    "through": -0.5,
    "hidden": -0.29,
    "edge": 1.1,
    "exact": 4.97,
}
"""Of the logistic function."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for and against each pixel of a depth map.

    Attributes:
        deviation: [H, W] relative standard deviation ``s`` of right matches.
        features: by the names of ``WEIGHTS`` without the prior, each [H, W].
        bias: relative error that all depth maps share.
        baseline: world units, to the view whose depth map agrees most, where fewer than two others confirm.
    """

    deviation: Floats
    features: dict[str, Floats]
    bias: float
    baseline: float | None


def gather(depth_map: DepthMap, others: Sequence[DepthMap], bias: float = 0.0) -> Evidence:
    """Ask the depth maps of the neighbours about a depth map, all of which err by ``bias`` alike."""
    shape = depth_map.depth.shape
    points = depth_map.camera.unproject(depth_map.depth).reshape(-1, 3)
    differences = [_differences(points, other) for other in others]
    spread = _spread(differences)
    own = np.full(len(points), spread, np.float32)
    verdicts = []
    for other in others:
        view = MeasuredView.of(other.camera, other.depth, np.full_like(other.depth, spread))
        verdicts.append(judge(points, own, view, LEAST_TOLERANCE).reshape(shape))
    deviation = right_deviation(depth_map.shift, spread)
    counts = {
        verdict: sum((v == verdict for v in verdicts), np.zeros(shape, np.float32))
        for verdict in (AGREES, CONTRADICTS, HIDDEN)
    }
    features = {
        "cost": np.where(np.isfinite(depth_map.cost), depth_map.cost, np.float32(2)),
        "margin": depth_map.margin,
        "agrees": counts[AGREES],
        "through": counts[CONTRADICTS],
        "hidden": counts[HIDDEN],
        "edge": edge_weight(depth_map.depth, EDGE_RATIO),
        "exact": _exact(deviation, bias),
    }
    return Evidence(deviation, features, bias, _only_baseline(depth_map, others, differences))


def resting_on_a_pair(evidence: Evidence, translation: float) -> Evidence:
    """Return ``evidence``, less exact by the baseline where fewer than two other depth maps confirm.

    Args:
        evidence: of a depth map.
        translation: world units; standard deviation of the position of a view.
    """
    if evidence.baseline is None or translation == 0:
        return evidence
    scale = np.float32(np.sqrt(2) * translation / evidence.baseline)
    deviation = np.sqrt(np.square(evidence.deviation) + scale**2)
    features = {**evidence.features, "exact": _exact(deviation, evidence.bias)}
    return replace(evidence, deviation=deviation, features=features)


def right_deviation(shift: Floats, spread: float) -> Floats:
    """Return the relative standard deviation ``s`` of right matches, [H, W]."""
    fixed = (SPREAD * spread) ** 2 + FLOOR**2
    return np.asarray(np.sqrt(np.square(MATCHING / shift) + fixed), dtype=np.float32)


def _exact(deviation: Floats, bias: float) -> Floats:
    """Return how likely an error of that deviation about ``bias`` is below ``RIGHT``; 0 if unknown."""
    above, below = (erf((RIGHT + side) / np.sqrt(2) / deviation) for side in (bias, -bias))
    return np.where(np.isfinite(deviation), (above + below) / 2, 0).astype(np.float32)


def probability(evidence: Evidence) -> Floats:
    """Return ``c`` in [0, 1), [H, W]: 0 where no other depth map agrees, or where nothing won."""
    terms = [np.float32(WEIGHTS[name]) * value for name, value in evidence.features.items()]
    odds = np.sum(terms, axis=0) + np.float32(WEIGHTS["prior"])
    seen = evidence.features
    possible = (seen["agrees"] > 0) & (seen["margin"] >= LEAST_MARGIN) & (seen["edge"] >= LEAST_EDGE)
    right = np.minimum(1 / (1 + np.exp(-odds)), np.float32(MOST))
    return np.where(possible, right, 0).astype(np.float32)


def _spread(differences: Sequence[NDArray[np.float64]]) -> float:
    """Return the robust deviation of a depth map from others, of one of the two."""
    same = np.concatenate([np.empty(0), *differences])
    same = same[np.abs(same) < SAME_SURFACE]
    if len(same) < 100:
        return ALONE
    return float(1.4826 * np.median(np.abs(same)) / np.sqrt(2))


def _only_baseline(
    depth_map: DepthMap, others: Sequence[DepthMap], differences: Sequence[NDArray[np.float64]]
) -> float | None:
    """Return ``Evidence.baseline`` from the differences to each of the others."""
    shares = [float((np.abs(d) < SAME_SURFACE).mean()) if len(d) else 0.0 for d in differences]
    if not shares or sum(share > CONFIRMING for share in shares) > 1:
        return None
    best = others[int(np.argmax(shares))]
    return float(np.linalg.norm(best.camera.centre - depth_map.camera.centre))


def _differences(points: Floats, other: DepthMap) -> NDArray[np.float64]:
    """Return the relative differences between the depths of ``points`` in a view and its depth map."""
    pixels, depth = other.camera.project(points[::4].astype(np.float64))
    height, width = other.depth.shape
    inside = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels <= [width - 1, height - 1]).all(axis=1)
    columns, rows = np.rint(pixels[inside]).astype(np.intp).T
    difference = depth[inside] / other.depth[rows, columns] - 1
    return np.asarray(difference[np.isfinite(difference)], dtype=np.float64)
