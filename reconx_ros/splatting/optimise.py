"""The Gaussian optimiser: step 4 of the paper, and the same while the map still grows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.annealing import Annealing
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.checks import used_degree
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.judging import Judging
from reconx_ros.splatting.prune import Pruned
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.residence import Residence
from reconx_ros.splatting.running import run
from reconx_ros.splatting.sightings import Sightings
from reconx_ros.splatting.state import GaussianState
from reconx_ros.splatting.training import TrainingSet
from reconx_ros.splatting.training_step import TrainingStep
from reconx_ros.splatting.view import TrainingView

EVIDENCE_VIEWS = 8  # views a snapshot of a growing map looks at again for its confidence


class GaussianOptimiser:
    """Gaussians under optimisation: views and Gaussians come in, steps run, snapshots go out.

    Between any two steps the map is finite, within its shape limits and under the cap.

    Attributes:
        config: the settings.
        step_class: what takes the steps.
    """

    step_class: type[TrainingStep] = TrainingStep

    def __init__(
        self,
        gaussians: GaussianMap,
        config: SplattingConfig,
        device: str = "auto",
        evidence: Evidence | None = None,
        views: TrainingSet | None = None,
    ) -> None:
        """Start from ``gaussians``; more than ``config.max_gaussians`` are thinned out.

        Args:
            gaussians: N >= 1 finite Gaussians.
            config: the settings.
            device: ``cpu``, ``cuda`` or ``auto``; see ``drawing_device``.
            evidence: of ``gaussians``; they are new where ``None``.
            views: to train on from the start, where another optimiser left them; ``device`` is theirs then.

        Raises:
            SplattingError: no Gaussians, some that are not finite, no such device, no weights of
                LPIPS where they are asked for, or cameras to be fitted without the CPU rasterizer.
            MissingDependencyError: gsplat is asked for and cannot draw here.
        """
        self.config = config
        if views is None:
            self._residence = Residence(config.rasterizer, device)
            views = TrainingSet(config, self._residence.device)
        else:
            self._residence = Residence(views.backend, views.device.type)
        self._state = GaussianState(gaussians, config, self._residence.device, evidence)
        self._views = views
        self._views.start_again()
        self._sightings = Sightings(self._state, self._views, self._residence)
        self._annealing = Annealing(config, used_degree(gaussians))
        self._step = self.step_class(config, self._state, self._views, self._annealing, self._residence)
        self._residence.moves = (self._state.to_cpu, self._views.to_cpu, self._step.to_cpu)
        self._judging = Judging(self._state, self._views, config.limits)

    def add_views(self, views: Sequence[TrainingView]) -> None:
        """Add views to train on; new ones that are observed are drawn more often at first.

        Raises:
            SplattingError: a view is not of its camera's size; none of ``views`` is added then.
        """
        self._views.add(views)

    def add_gaussians(self, gaussians: GaussianMap, evidence: Evidence | None = None) -> NDArray[np.intp]:
        """Add Gaussians; where the cap is exceeded, old and new are thinned out alike.

        The schedule of the learning rates is set back in proportion to what is new.

        Args:
            gaussians: to add.
            evidence: of them; they are new where ``None``.

        Returns:
            The rows kept of the map followed by ``gaussians``, ascending: the map's rows from now on.

        Raises:
            SplattingError: numbers that are not finite, or another SH degree; nothing is added then.
        """
        before = len(self._state)
        if len(gaussians) == 0:
            return np.arange(before)
        rows = self._state.add(gaussians, evidence)
        self._annealing.grown(before, len(gaussians))
        if len(rows) < before + len(gaussians):
            self._rearranged(rows[rows < before], before)
        return rows

    def prune(self) -> NDArray[np.intp]:
        """Remove degenerate Gaussians (``prune.py``), but never all of them.

        Returns:
            The rows kept, ascending: the map's rows from now on.
        """
        gone = self._judging.of_all()
        alive = np.setdiff1d(np.flatnonzero(self.alive), gone)
        if len(alive) < len(self._state):
            self.keep_gaussians(alive)
        return alive

    def prune_again(self, camera: Camera, depth: Floats) -> None:
        """Remove what is degenerate of what a new view speaks of (``Judging.of_view``); rows stay."""
        gone = self._judging.of_view(camera, depth)
        if len(gone):
            self.remove(gone)

    def remove(self, rows: NDArray[np.intp]) -> None:
        """Remove the Gaussians at ``rows``, not all: they are neither drawn nor in a snapshot any more.

        They keep their rows until ``keep_gaussians`` gives them back, which copies the whole map.
        """
        self._state.remove(rows)

    @property
    def pruned(self) -> Pruned:
        """Degenerate Gaussians removed so far."""
        return self._judging.pruned

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which rows [N] were not removed."""
        return self._state.alive

    def in_view(self, camera: Camera, far: float = np.inf) -> NDArray[np.intp]:
        """Return the rows of what ``camera`` may show, as ``GaussianState.in_view`` does."""
        return self._state.in_view(camera, far)

    def keep_gaussians(self, rows: NDArray[np.intp]) -> None:
        """Drop all Gaussians but those at ``rows``, at least one, in this order."""
        before = len(self._state)
        self._state.keep(rows)
        self._rearranged(rows, before)

    def keep_views(self, views: list[int], back_later: bool = False) -> None:
        """Stop training on all views but these; they are numbered anew in this order.

        What the others saw stays in the confidence of the Gaussians.

        Args:
            views: that stay.
            back_later: whether the others may be added again: then they must not count twice.
        """
        staying = set(views)
        gone = [view for view in range(len(self._views)) if view not in staying]
        self._sightings.leave(gone, back_later)
        self._views.keep(views)
        self._step.refinement.keep(views)

    def move(self, rows: NDArray[np.intp], views: list[int], motion: NDArray[np.float64]) -> None:
        """Move the Gaussians at ``rows`` and the cameras of ``views`` by a rigid ``motion`` [4, 4]."""
        self._state.move(rows, motion)
        self._views.move(views, motion)

    @property
    def first_rows(self) -> NDArray[np.intp]:
        """The rows of the map it started from that the cap let in, ascending."""
        return self._state.first_rows

    @property
    def views(self) -> TrainingSet:
        """The views trained on, with which another optimiser can go on."""
        return self._views

    @property
    def view_count(self) -> int:
        """Views trained on; a view without any weight is none."""
        return len(self._views)

    def run(
        self, steps: int | None = None, seconds: float | None = None, progress: Progress | None = None
    ) -> OptimisationReport:
        """Optimise until ``steps`` are done, ``seconds`` are over or ``progress`` is cancelled.

        With neither, ``config.steps`` are done; with ``seconds`` alone, as many as fit.
        """
        wanted = self.config.steps if steps is None and seconds is None else steps
        return run(self._step, self._state, self._views, wanted, seconds, progress or Silent())

    def gaussians(self, evidence_views: int | None = EVIDENCE_VIEWS) -> GaussianMap:
        """Return the map as it is now.

        Args:
            evidence_views: most views that are rendered again to bring confidence up to date, those
                longest unseen first; ``None`` for all.
        """
        return self._sightings.gaussians(evidence_views)

    def look(self) -> GaussianMap:
        """Return the map as it is, as ``GaussianState.look`` does."""
        return self._state.look()

    def shapes(self, rows: NDArray[np.intp]) -> GaussianMap:
        """Return the Gaussians at ``rows`` without their harmonics, as ``GaussianState.shapes`` does."""
        return self._state.shapes(rows)

    def evidence(self, back_later: bool = False) -> Evidence:
        """Return what the confidence of ``gaussians()`` comes of, for when they are added again.

        Args:
            back_later: whether the views of now may be added again, too.
        """
        return self._sightings.evidence(back_later)

    def appearance(self, views: Sequence[int] | None = None) -> Appearance:
        """Return the exposures fitted to the observed ones of ``views`` (``None``: all).

        Renders of other views are developed with them.
        """
        return self._views.appearance(views)

    def _rearranged(self, kept: NDArray[np.intp], before: int) -> None:
        """Note that of ``before`` rows those ``kept`` are left."""
        self._views.rearrange(kept, before)
        self._judging.rearranged(kept)
