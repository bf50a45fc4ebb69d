"""The optimiser with names on its rows: Gaussians keep an id for life and belong to a submap."""

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.live_views import LiveViews
from reconx_ros.mapping.submaps import LOADED
from reconx_ros.mapping.taken import TakenGaussians
from reconx_ros.progress import Progress
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.grow import imagined, unexplained
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.prune import FREE, Pruned, farthest, relative_depth
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.view import TrainingView
from reconx_ros.structure.reference import Reference

REMOVED = 1 / 16
"""Share of the rows from which those of removed Gaussians are given back."""

_log = logging.getLogger(__name__)


class LiveGaussians:
    """N Gaussians under optimisation, by submap; there may be none, then views wait for some."""

    def __init__(self, config: ReconxConfig) -> None:
        self._config, self._settings = config, config.splatting
        self._optimiser: GaussianOptimiser | None = None
        self._views = LiveViews(config)
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
        return self._pruned if self._optimiser is None else self._pruned + self._optimiser.pruned

    @property
    def means(self) -> Floats:
        """[N, 3] in the order of ``ids``."""
        if self._optimiser is None:
            return np.empty((0, 3), np.float32)
        return self._optimiser.look().means[self._alive]

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
        if self._optimiser is None:
            self._optimiser = GaussianOptimiser(
                gaussians, self._settings, self._config.device, evidence, self._views.training
            )
            self._views.training = self._optimiser.views
            rows = self._optimiser.first_rows
        else:
            rows = self._optimiser.add_gaussians(gaussians, evidence)
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
        self._views.add(name, views)

    def fill(self, keyframe: Keyframe, depth: NDArray[np.float32], group: int) -> None:
        """Add Gaussians of guessed depth where ``keyframe`` shows what the map does not explain.

        Args:
            keyframe: a posed view.
            depth: [H, W] of it, NaN where unknown.
            group: the submap they belong to.
        """
        if self._optimiser is not None and self._config.splatting.guess_stride:
            now = self._optimiser.shapes(self._optimiser.in_view(keyframe.camera))
            new = unexplained(now, keyframe, depth, self._config.splatting, self._config.device)
            self.add(new, group)

    def imagine(self, frames: Sequence[GeneratedFrame], group: int) -> int:
        """Add what generated frames show and no view saw, and train on them; return how many Gaussians.

        Frames of an earlier call are no longer trained on; what came of them stays.

        Args:
            frames: generated.
            group: the submap they belong to.
        """
        self.forget_frames()
        if self._optimiser is None or not frames:
            return 0
        now = self._optimiser.look()
        grown = imagined(now, frames, self._config.splatting, self._config.device)
        new = grown.select(np.arange(len(now), len(grown)))
        self.add(new, group)
        self._views.teach(frames)
        return len(new)

    def forget_frames(self) -> None:
        """Stop training on generated frames."""
        self._views.forget_frames(self._optimiser)

    def forget_views(self, names: Collection[str]) -> None:
        """Stop training on the views ``names``; unknown names are ignored."""
        self._views.let_go(names, self._optimiser)

    def replace_imagined(self, view: TrainingView) -> int:
        """Remove what was generated where ``view`` has measured; return how many Gaussians.

        Observed beats generated: whatever was imagined at or in front of a surface that is measured now
        makes room for it. What lies behind that surface stays. Where ``view`` looks, generated frames
        teach as little as if it had been there when they were filmed.
        """
        if self._optimiser is None:
            return 0
        self._views.outdo(view, self._optimiser)
        now, rows = self._optimiser.look(), self._optimiser.in_view(view.camera, farthest(view.depth))
        ratio = relative_depth(now.means[rows], view.camera, view.depth)
        return self._remove(rows[(now.provenance[rows] == GENERATED) & (ratio < 1 + FREE)])

    def witnesses(self) -> list[Reference]:
        """Return the real views trained on, with the depth they measured; their images are left out."""
        return self._views.witnesses()

    def prune(self, view: TrainingView) -> None:
        """Remove what is degenerate, or contradicted by the views, of what a new ``view`` speaks of."""
        if self._optimiser is not None:
            self._optimiser.prune_again(view.camera, view.depth)

    def refine(self, seconds: float, progress: Progress) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; ``None`` where there is nothing to optimise."""
        if self._optimiser is None:
            return None
        self._tidy(self._optimiser)
        return self._optimiser.run(seconds=seconds, progress=progress)

    def snapshot(self) -> tuple[GaussianMap, Appearance] | None:
        """Return the Gaussians in the order of ``ids``, with exposures; ``None`` before the first."""
        if self._optimiser is not None:
            return self._optimiser.gaussians(), self._optimiser.appearance()
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
            self.forget_frames()  # they were filmed from where the keyframes are no longer
        for group, motion in motions.items():
            views = self._views.of_group(groups, group)
            if self._optimiser is not None:
                self._optimiser.move(np.flatnonzero(self._groups == group), views, motion)
            elif self._views.training is not None:
                self._views.training.move(views, motion)

    def remove(self, rows: NDArray[np.bool_]) -> int:
        """Remove the Gaussians at ``rows`` (mask [N]); return their number."""
        return self._remove(np.flatnonzero(self._alive)[rows])

    def take(self, group: int, names: list[str]) -> TakenGaussians | None:
        """Remove and return the Gaussians of a submap and the views ``names``; ``None`` without any."""
        leaving = self._views.named(names)
        appearance = None if self._optimiser is None else self._optimiser.appearance(leaving)
        self._views.let_go(names, self._optimiser, back_later=True)
        if self._optimiser is None or appearance is None:
            return None
        mine = self.groups == group
        gaussians = self._optimiser.gaussians(evidence_views=0).select(mine)
        evidence = self._optimiser.evidence(back_later=True).select(mine)
        taken = TakenGaussians(gaussians, self.ids[mine], appearance, evidence)
        self.remove(mine)
        return taken

    def regroup(self, old: int, new: int) -> None:
        """Let what belongs to the submap ``old`` belong to ``new``."""
        self._groups = np.where(self._groups == old, np.int32(new), self._groups)

    def evidence(self) -> Evidence:
        """Return what the confidence of ``snapshot()`` comes of."""
        if self._optimiser is None:
            return Evidence.of_map(np.empty(0, np.float32))
        return self._optimiser.evidence()

    @property
    def _alive(self) -> NDArray[np.bool_]:
        return np.empty(0, np.bool_) if self._optimiser is None else self._optimiser.alive

    def _remove(self, rows: NDArray[np.intp]) -> int:
        """Remove ``rows`` of the optimiser; return their number."""
        if self._optimiser is None or len(rows) == 0:
            return 0
        if len(rows) < len(self):
            self._optimiser.remove(rows)
        else:  # an optimiser of nothing cannot be
            self._pruned, self._optimiser = self.pruned, None
            self._ids, self._groups = self._ids[:0], self._groups[:0]
        return len(rows)

    def _tidy(self, optimiser: GaussianOptimiser) -> None:
        """Give back the rows of what was removed, where they are many: that copies the whole map."""
        rows = np.flatnonzero(optimiser.alive)
        if len(rows) < (1 - REMOVED) * len(self._ids):
            self._ids, self._groups = self._ids[rows], self._groups[rows]
            optimiser.keep_gaussians(rows)
