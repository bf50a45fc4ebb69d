"""What the confidence of each Gaussian comes of, kept while views come and go.

``c = c_point^POINT_POWER (1 - 2^(-BITS n))``: c_point in [0, 1] is the confidence of what the Gaussian was
started from, n >= 0 the evidence of the views that saw it (``confidence.py`` measures it). Views leave: the
evidence of those that leave for good adds up in ``settled``. Those of a submap that rests on disk come back
and would count twice; ``away`` is therefore what all views of the time gave together, a least value:
``n = settled + max(away, present)``.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.splatting.gaussians import Floats

POINT_POWER = 0.3
BITS = 3.0

SETTLED = 8.0
"""Evidence beyond which no view changes the confidence: 1 - 2^-24 of what the point allows."""


def map_confidences(
    point_confidence: Floats, evidence: Floats, generated: NDArray[np.bool_] | None = None
) -> Floats:
    """Return c [N] in [0, 1] of c_point [N] and the evidence n [N] >= 0.

    A Gaussian that was imagined where no view looks (``generated``, n = 0) has what it was given.
    """
    point = np.clip(point_confidence, 0, 1)
    confidence = point**POINT_POWER * (1 - np.exp2(-BITS * np.maximum(evidence, 0)))
    if generated is not None:
        confidence = np.where(generated, np.maximum(confidence, point), confidence)
    return np.asarray(confidence, np.float32)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of N Gaussians, without that of the views that are trained on now (``present``, [N]).

    Attributes:
        point: [N] float32 in [0, 1], confidence of what they were started from.
        settled: [N] float32 >= 0, summed evidence of views that left for good.
        away: [N] float32 >= 0, evidence of all views there were when some went to rest.
    """

    point: Floats
    settled: Floats
    away: Floats

    @staticmethod
    def of_points(confidence: Floats) -> "Evidence":
        """Return that of new Gaussians, which have the confidence [N] of their points: no view yet."""
        point = np.asarray(confidence, np.float32)
        return Evidence(point, np.zeros_like(point), np.zeros_like(point))

    @staticmethod
    def of_map(confidence: Floats) -> "Evidence":
        """Return that of Gaussians of confidence c [N] of which nothing else is known: c stays."""
        point = np.clip(confidence, 0, 1).astype(np.float64) ** (1 / POINT_POWER)
        settled = np.full(len(point), SETTLED, np.float32)
        return Evidence(point.astype(np.float32), settled, np.zeros_like(settled))

    @property
    def empty(self) -> bool:
        """Whether no view that has left saw anything."""
        return not (self.settled.any() or self.away.any())

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Evidence":
        """Return that of the Gaussians at ``rows`` (mask [N] or indices)."""
        return Evidence(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: "Evidence") -> "Evidence":
        """Return that of these Gaussians and the ``other`` ones behind them."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Evidence(*(np.concatenate(pair) for pair in pairs))

    def without(self, gone: Floats) -> "Evidence":
        """Return it after views left for good that gave ``gone`` [N]; the confidence stays."""
        return replace(self, settled=self.settled + gone, away=np.maximum(self.away - gone, 0))

    def resting(self, present: Floats) -> "Evidence":
        """Return it before some of the views that give ``present`` [N] go to rest."""
        return replace(self, away=np.maximum(self.away, present))

    def total(self, present: Floats) -> Floats:
        """Return n [N]."""
        return self.settled + np.maximum(self.away, present)

    def closed(self, present: Floats) -> "Evidence":
        """Return it as it is saved: all views have left for good."""
        return replace(self, settled=self.total(present), away=np.zeros_like(self.away))


@dataclass(frozen=True, eq=False)
class ViewEvidence:
    """That of one view for the Gaussians it sees; it has none for all others.

    Attributes:
        rows: [K] int32, ascending.
        values: [K] float32 > 0.
    """

    rows: NDArray[np.int32]
    values: Floats

    @staticmethod
    def none() -> "ViewEvidence":
        """Return that of a view that sees nothing."""
        return ViewEvidence(np.empty(0, np.int32), np.empty(0, np.float32))

    @staticmethod
    def of(rows: NDArray[np.intp], values: Floats) -> "ViewEvidence":
        """Return that of Gaussians at ``rows`` [K] with ``values`` [K] >= 0."""
        some = values > 0
        return ViewEvidence(rows[some].astype(np.int32), values[some])

    def rearranged(self, place: NDArray[np.intp]) -> "ViewEvidence":
        """Return it where row i has become ``place`` [N] of i, -1 where it is gone."""
        rows = place[self.rows]
        stay = rows >= 0
        return ViewEvidence(rows[stay].astype(np.int32), self.values[stay])
