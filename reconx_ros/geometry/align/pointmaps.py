"""Aligned pairs as pointmaps in the world, with confidences that the views confirm."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.agreement import AGREES, CONTRADICTS, MeasuredView, judge
from reconx_ros.geometry.align.align import Alignment
from reconx_ros.geometry.align.depth import AgreedDepth, agreed_depth
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.confidence import confidence, edge_weight, presence
from reconx_ros.geometry.normals import normals_from_depth
from reconx_ros.geometry.protocol import PointMap

LEAST_TOLERANCE = 0.02
"""Relative depth difference of two views that always agrees."""

LEAST_DEVIATION = 0.004
"""No point is known better, relative to its distance."""

POOREST = 1.05
"""Confidence that a point ends with at least: below, it is unknown."""


def make_pointmaps(
    wanted: Sequence[int], pairs: Sequence[PairPointMaps], alignment: Alignment, edge_ratio: float
) -> list[PointMap]:
    """Return the pointmaps of the views ``wanted``; unknown everywhere for those not aligned.

    The confidence is the lower of two: what the network says (the highest C of the pairs), and
    ``1 + (1% / s)^2`` with s the relative deviation that the pairs show of each other; times the
    probability that the point is there at all given what the paired views see, and less at depth edges
    (``geometry.confidence``). A confident network that the views contradict thus ends near 1.
    """
    partners = {
        view: sorted({v for p in pairs if view in p.views for v in p.views} - {view}) for view in wanted
    }
    measured: dict[int, tuple[AgreedDepth, MeasuredView]] = {}
    for view in {*wanted, *(other for others in partners.values() for other in others)}:
        if alignment.aligned[view]:
            agreed = agreed_depth(view, pairs, alignment)
            sure = np.maximum(agreed.deviation, np.float32(LEAST_DEVIATION))
            measured[view] = agreed, MeasuredView.of(alignment.cameras[view], agreed.depth, sure)
    made = []
    for view in wanted:
        if view not in measured:
            made.append(PointMap.unknown(alignment.cameras[view]))
            continue
        others = [measured[v][1] for v in partners[view] if v in measured]
        made.append(_pointmap(*measured[view], others, edge_ratio))
    return made


def _pointmap(
    agreed: AgreedDepth, view: MeasuredView, others: Sequence[MeasuredView], edge_ratio: float
) -> PointMap:
    points = view.camera.unproject(view.depth)
    flat, deviation = points.reshape(-1, 3), view.deviation.reshape(-1)
    agrees, contradicts = np.zeros(len(flat), np.int32), np.zeros(len(flat), np.int32)
    for other in others:
        verdict = judge(flat, deviation, other, LEAST_TOLERANCE)
        agrees += verdict == AGREES
        contradicts += verdict == CONTRADICTS
    present = presence(agrees, contradicts).reshape(view.depth.shape) * edge_weight(view.depth, edge_ratio)
    shown = confidence(view.deviation, np.ones_like(present), np.ones_like(present))
    sure = 1 + present * (np.minimum(shown, agreed.confidence) - 1)
    return _kept(points, normals_from_depth(view.depth, view.camera, edge_ratio), sure)


def _kept(points: NDArray[np.float32], normals: NDArray[np.float32], sure: NDArray[np.float32]) -> PointMap:
    lost = ~(sure >= POOREST)
    points[lost], normals[lost] = np.nan, np.nan
    return PointMap(points, normals, np.where(lost, 1, sure).astype(np.float32), shared=True)
