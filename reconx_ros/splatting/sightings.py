"""What the views say of each Gaussian under optimisation: its evidence, and the confidence it gives."""

from collections.abc import Sequence

import numpy as np

from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.splatting.evidence import Evidence, map_confidences
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.residence import Residence
from reconx_ros.splatting.state import GaussianState
from reconx_ros.splatting.training import TrainingSet


class Sightings:
    """Looks at a map from its views.

    Args:
        state: the map.
        views: it is trained on.
        residence: where both are.
    """

    def __init__(self, state: GaussianState, views: TrainingSet, residence: Residence) -> None:
        self._state, self._views, self._residence = state, views, residence

    def gaussians(self, refresh: int | None) -> GaussianMap:
        """Return the map with its confidence, after up to ``refresh`` views were looked at again."""
        present, evidence = self._present(refresh), self._state.evidence
        confidence = evidence.point
        if len(self._views) or not evidence.empty:
            generated = self._state.provenance == GENERATED
            confidence = map_confidences(evidence.point, evidence.total(present), generated)
        return self._state.snapshot(confidence)

    def evidence(self, back_later: bool) -> Evidence:
        """Return the evidence of ``gaussians()``, with that of the views unless they are ``back_later``."""
        evidence: Evidence = self._state.evidence
        if not back_later:
            evidence = evidence.closed(self._present(0))
        return evidence.select(np.flatnonzero(self._state.alive))

    def leave(self, gone: Sequence[int], back_later: bool) -> None:
        """Keep what the views ``gone`` saw, which leave.

        Args:
            gone: numbers of views.
            back_later: whether they may be added again: then they must not count twice.
        """
        seen = self._residence.repeated(
            lambda: self._views.last_evidence(gone, self._state),
            f"looking at {len(self._state)} Gaussians a last time",
        )
        if back_later:
            self._state.evidence = self._state.evidence.resting(self._present(0))
        else:
            self._state.evidence = self._state.evidence.without(seen)

    def _present(self, refresh: int | None) -> Floats:
        return self._residence.repeated(
            lambda: self._views.evidence(self._state, refresh),
            f"looking at {len(self._state)} Gaussians again",
        )
