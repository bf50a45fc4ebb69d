"""The optimiser with names on its rows: Gaussians keep an id for life and belong to a submap."""

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.mapping.live_views import LiveViews
from reconx_ros.mapping.submaps import LOADED
from reconx_ros.mapping.taken import TakenGaussians
from reconx_ros.progress import Progress
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.prune import Pruned
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.view import TrainingView

REMOVED = 1 / 16
"""Share of the rows from which those of removed Gaussians are given back."""

_log = logging.getLogger(__name__)


class LiveGaussians:
    """N Gaussians under optimisation, by submap; there may be none, then views wait for some.

    Attributes:
        optimiser: of the Gaussians, ``None`` where there are none.
        views: trained on.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self._config, self._settings = config, config.splatting
        self.optimiser: GaussianOptimiser | None = None
        self.views = LiveViews(config)
        self._next_id = 0
        self._pruned = Pruned()  # by optimisers that are gone
        self._ids = np.empty(0, np.int64)  # of all rows of the optimiser, with those that were removed
        self._groups = np.empty(0, np.int32)

    def __len__(self) -> int:
        """Return N."""
        return int(np.count_nonzero(self._alive))

    @property
    def ids(self) -> NDArray[np.int64]:
        """[N] int64, for each Gaussian the number it keeps for life."""
        return self._ids[self._alive]

    @property
    def groups(self) -> NDArray[np.int32]:
        """[N] int32, the submap of each."""
        return self._groups[self._alive]

    @property
    def pruned(self) -> Pruned:
        """Degenerate Gaussians removed so far."""
        return self._pruned if self.optimiser is None else self._pruned + self.optimiser.pruned

    @property
    def means(self) -> Floats:
        """[N, 3] in the order of ``ids``."""
        if self.optimiser is None:
            return np.empty((0, 3), np.float32)
        return self.optimiser.look().means[self._alive]

    def restore(self, gaussians: GaussianMap, evidence: Evidence | None) -> None:
        """Begin with a map that was made before: all of it stays, the cap is for what is added to it.

        Args:
            gaussians: the map. Those of a lower SH degree than the settings', or those added where it is
                the other way round, get coefficients of zero.
            evidence: what its confidence comes of; where ``None`` its confidence is settled.
        """
        settings = self._config.splatting
        if len(gaussians) > settings.max_gaussians:
            _log.warning(
                "the map that is loaded has %d Gaussians, splatting.max_gaussians is %d: all are kept",
                len(gaussians),
                settings.max_gaussians,
            )
        room = settings.max_gaussians + len(gaussians)
        degree = max(settings.sh_degree, gaussians.sh_degree)
        self._settings = settings.model_copy(update={"max_gaussians": room, "sh_degree": degree})
        self.add(gaussians, LOADED, evidence=evidence or Evidence.of_map(gaussians.confidence))

    def add(
        self,
        gaussians: GaussianMap,
        group: int,
        ids: NDArray[np.int64] | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        """Add Gaussians of a submap; over the cap, old and new are thinned out alike.

        Args:
            gaussians: to add, of any SH degree.
            group: the submap.
            ids: of Gaussians that were here before; new ones are given where ``None``.
            evidence: of Gaussians that were on a map before; they are new where ``None``.

        Raises:
            SplattingError: numbers that are not finite; nothing is added then.
        """
        if len(gaussians) == 0:
            return
        gaussians = gaussians.of_degree(self._settings.sh_degree)
        if self.optimiser is None:
            self.optimiser = GaussianOptimiser(
                gaussians, self._settings, self._config.device, evidence, self.views.training
            )
            self.views.training = self.optimiser.views
            rows = self.optimiser.first_rows
        else:
            rows = self.optimiser.add_gaussians(gaussians, evidence)
        if ids is None:
            ids = np.arange(self._next_id, self._next_id + len(gaussians))
            self._next_id += len(gaussians)
        self._ids = np.concatenate([self._ids, ids])
        self._groups = np.concatenate([self._groups, np.full(len(gaussians), group, np.int32)])
        if len(rows) < len(self._ids):
            self._ids, self._groups = self._ids[rows], self._groups[rows]

    def add_views(self, name: str, views: Sequence[TrainingView]) -> None:
        """Train on ``views`` from now on, or as soon as there are Gaussians; they count as ``name``.

        Raises:
            SplattingError: a view is not of its camera's size; none of ``views`` is added then.
        """
        self.views.add(name, views)

    def forget_views(self, names: Collection[str]) -> None:
        """Stop training on the views ``names``; unknown names are ignored."""
        self.views.let_go(names, self.optimiser)

    def prune(self, view: TrainingView) -> None:
        """Remove what is degenerate, or contradicted by the views, of what a new ``view`` speaks of."""
        if self.optimiser is not None:
            self.optimiser.prune_again(view.camera, view.depth)

    def refine(self, seconds: float, progress: Progress) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; ``None`` where there is nothing to optimise."""
        if self.optimiser is None:
            return None
        self._tidy(self.optimiser)
        return self.optimiser.run(seconds=seconds, progress=progress)

    def snapshot(self) -> tuple[GaussianMap, Appearance] | None:
        """Return the Gaussians in the order of ``ids``, with exposures; ``None`` before the first."""
        if self.optimiser is not None:
            return self.optimiser.gaussians(), self.optimiser.appearance()
        if self._next_id == 0:
            return None
        return GaussianMap.empty(self._settings.sh_degree), Appearance.neutral()

    def move(self, motions: Mapping[int, NDArray[np.float64]], groups: Mapping[str, int]) -> None:
        """Move the Gaussians and views of submaps by their rigid motions [4, 4].

        Args:
            motions: by submap.
            groups: the submap of each view.
        """
        if motions:
            # They were filmed from where the keyframes are no longer.
            self.views.forget_frames(self.optimiser)
        for group, motion in motions.items():
            views = self.views.of_group(groups, group)
            if self.optimiser is not None:
                self.optimiser.move(np.flatnonzero(self._groups == group), views, motion)
            elif self.views.training is not None:
                self.views.training.move(views, motion)

    def remove(self, rows: NDArray[np.bool_]) -> int:
        """Remove the Gaussians at ``rows`` (mask [N]); return their number."""
        return self.remove_rows(np.flatnonzero(self._alive)[rows])

    def take(self, group: int, names: list[str]) -> TakenGaussians | None:
        """Remove and return the Gaussians of a submap and the views ``names``; ``None`` without any."""
        leaving = self.views.named(names)
        appearance = None if self.optimiser is None else self.optimiser.appearance(leaving)
        self.views.let_go(names, self.optimiser, back_later=True)
        if self.optimiser is None or appearance is None:
            return None
        mine = self.groups == group
        gaussians = self.optimiser.gaussians(evidence_views=0).select(mine)
        evidence = self.optimiser.evidence(back_later=True).select(mine)
        taken = TakenGaussians(gaussians, self.ids[mine], appearance, evidence)
        self.remove(mine)
        return taken

    def regroup(self, old: int, new: int) -> None:
        """Let what belongs to the submap ``old`` belong to ``new``."""
        self._groups = np.where(self._groups == old, np.int32(new), self._groups)

    def evidence(self) -> Evidence:
        """Return what the confidence of ``snapshot()`` comes of."""
        if self.optimiser is None:
            return Evidence.of_map(np.empty(0, np.float32))
        return self.optimiser.evidence()

    @property
    def _alive(self) -> NDArray[np.bool_]:
        return np.empty(0, np.bool_) if self.optimiser is None else self.optimiser.alive

    def remove_rows(self, rows: NDArray[np.intp]) -> int:
        """Remove ``rows`` of the optimiser; return their number."""
        if self.optimiser is None or len(rows) == 0:
            return 0
        if len(rows) < len(self):
            self.optimiser.remove(rows)
        else:  # an optimiser of nothing cannot be
            self._pruned, self.optimiser = self.pruned, None
            self._ids, self._groups = self._ids[:0], self._groups[:0]
        return len(rows)

    def _tidy(self, optimiser: GaussianOptimiser) -> None:
        """Give back the rows of what was removed, where they are many: that copies the whole map."""
        rows = np.flatnonzero(optimiser.alive)
        if len(rows) < (1 - REMOVED) * len(self._ids):
            self._ids, self._groups = self._ids[rows], self._groups[rows]
            optimiser.keep_gaussians(rows)
