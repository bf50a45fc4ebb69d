"""The Gaussians of a submap that are not under optimisation: on their way to disk or back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap


@dataclass(frozen=True, eq=False)
class TakenGaussians:
    """The Gaussians of a submap outside of the optimiser.

    Attributes:
        gaussians: N of them.
        ids: [N] int64.
        appearance: exposures of the views that left with them.
        evidence: what their confidence comes of.
    """

    gaussians: GaussianMap
    ids: NDArray[np.int64]
    appearance: Appearance
    evidence: Evidence

    def select(self, rows: NDArray[np.bool_]) -> "TakenGaussians":
        """Return those at ``rows``, with all exposures."""
        chosen = self.gaussians.select(rows), self.ids[rows]
        return TakenGaussians(*chosen, self.appearance, self.evidence.select(rows))
