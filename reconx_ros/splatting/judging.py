"""Which Gaussians under optimisation are degenerate, asked of no more of them than a view speaks of."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.splatting.config import LimitsConfig
from reconx_ros.splatting.gaussians import Floats
from reconx_ros.splatting.prune import Pruned, degenerate, farthest
from reconx_ros.splatting.state import GaussianState
from reconx_ros.splatting.training import TrainingSet


class Judging:
    """Finds degenerate Gaussians (``prune.py``), but never all there are.

    Args:
        state: the map.
        views: it is trained on.
        limits: what counts as a needle.

    Attributes:
        pruned: how many were found so far.
    """

    def __init__(self, state: GaussianState, views: TrainingSet, limits: LimitsConfig) -> None:
        self._state, self._views, self._limits = state, views, limits
        self._judged = 0  # rows before this have met all views
        self.pruned = Pruned()

    def of_all(self) -> NDArray[np.intp]:
        """Return the rows of all that are degenerate."""
        return self._found(np.flatnonzero(self._state.alive))

    def of_view(self, camera: Camera, depth: Floats) -> NDArray[np.intp]:
        """Return those of what a new view speaks of, and of what was added since the last one.

        Of all else no view says anything that it has not said before. What has moved since, or lost the
        support of a view that left, is judged when the next view speaks of it.

        Args:
            camera: the view, one of those trained on.
            depth: [H, W] of it.
        """
        spoken_of = self._state.in_view(camera, farthest(depth))
        new = np.flatnonzero(self._state.alive[self._judged :])
        return self._found(np.concatenate([spoken_of[spoken_of < self._judged], self._judged + new]))

    def rearranged(self, kept: NDArray[np.intp]) -> None:
        """Note that of the rows there were those ``kept`` (ascending) are left, before all others."""
        self._judged = int(np.searchsorted(kept, self._judged))

    def _found(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the degenerate ones of ``rows``; all rows have met all views then."""
        self._judged = len(self._state)
        shapes, views = self._state.shapes(rows), self._views.measured()
        gone, counts = degenerate(shapes, views, self._limits, self._state.extent)
        if np.count_nonzero(gone) == self._state.living:
            return rows[:0]
        self.pruned += counts
        return rows[gone]
