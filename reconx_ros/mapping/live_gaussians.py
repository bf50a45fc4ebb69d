"""The optimiser with names on its rows: Gaussians keep an id for life and belong to a submap."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.seen import also_seen
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.submaps import LOADED
from reconx_ros.progress import Progress
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.device import drawing_device
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.grow import imagined, unexplained
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.prune import Pruned, relative_depth
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.training import TrainingSet
from reconx_ros.splatting.view import TrainingView
from reconx_ros.splatting.views import generated_views
from reconx_ros.structure.reference import Reference

IMAGINED = "imagined"
"""What generated frames are called among the views; no keyframe has this name, they are numbered."""

BEHIND = 0.1
"""Share of a measured depth up to which a Gaussian belongs to that surface."""

_log = logging.getLogger(__name__)


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


class LiveGaussians:
    """Gaussians under optimisation, by submap; there may be none, then views wait for some.

    Attributes:
        ids: [N] int64, for each Gaussian the number it keeps for life.
        groups: [N] int32, the submap of each.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self._config, self._settings = config, config.splatting
        self._optimiser: GaussianOptimiser | None = None
        self._training: TrainingSet | None = None
        self._views: list[str] = []
        self._filmed: tuple[GeneratedFrame, ...] = ()
        self._next_id = 0
        self._pruned = Pruned()  # by optimisers that are gone
        self.ids = np.empty(0, np.int64)
        self.groups = np.empty(0, np.int32)

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @property
    def pruned(self) -> Pruned:
        """Degenerate Gaussians removed so far."""
        return self._pruned if self._optimiser is None else self._pruned + self._optimiser.pruned

    @property
    def means(self) -> Floats:
        """[N, 3] in the order of ``ids``; valid until the next step."""
        return np.empty((0, 3), np.float32) if self._optimiser is None else self._optimiser.look().means

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
                gaussians, self._settings, self._config.device, evidence, self._training
            )
            self._training = self._optimiser.views
            rows = self._optimiser.first_rows
        else:
            rows = self._optimiser.add_gaussians(gaussians, evidence)
        if ids is None:
            ids = np.arange(self._next_id, self._next_id + len(gaussians))
            self._next_id += len(gaussians)
        self.ids = np.concatenate([self.ids, ids])[rows]
        self.groups = np.concatenate([self.groups, np.full(len(gaussians), group, np.int32)])[rows]

    def add_views(self, name: str, views: Sequence[TrainingView]) -> None:
        """Train on ``views`` from now on, or as soon as there are Gaussians; they count as ``name``.

        Raises:
            SplattingError: a view is not of its camera's size; none of ``views`` is added then.
        """
        if self._training is None:
            device = drawing_device(self._settings.rasterizer, self._config.device)
            self._training = TrainingSet(self._settings, device)
        before = len(self._training)
        self._training.add(views)
        self._views += [name] * (len(self._training) - before)

    def fill(self, keyframe: Keyframe, depth: NDArray[np.float32], group: int) -> None:
        """Add Gaussians of guessed depth where ``keyframe`` shows what the map does not explain.

        Args:
            keyframe: a posed view.
            depth: [H, W] of it, NaN where unknown.
            group: the submap they belong to.
        """
        if self._optimiser is not None and self._config.splatting.guess_stride:
            now = self._optimiser.look()
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
        self._teach(frames)
        return len(new)

    def forget_frames(self) -> None:
        """Stop training on generated frames."""
        self._filmed = ()
        self.forget_views([IMAGINED])

    def _teach(self, frames: Sequence[GeneratedFrame]) -> None:
        self._filmed = tuple(frames)
        self.add_views(IMAGINED, generated_views(frames, self._config.splatting))

    def forget_views(self, names: Collection[str]) -> None:
        """Stop training on the views ``names``; unknown names are ignored."""
        self._let_go(names, back_later=False)

    def replace_imagined(self, view: TrainingView) -> int:
        """Remove what was generated where ``view`` has measured; return how many Gaussians.

        Observed beats generated: whatever was imagined at or in front of a surface that is measured now
        makes room for it. What lies behind that surface stays. Where ``view`` looks, generated frames
        teach as little as if it had been there when they were filmed.
        """
        if self._optimiser is None:
            return 0
        real = [Reference.of_depth(view.camera, view.depth)]
        frames = [also_seen(frame, real) for frame in self._filmed]
        if any((new.seen & ~old.seen).any() for new, old in zip(frames, self._filmed, strict=True)):
            self.forget_frames()
            self._teach(frames)
        now = self._optimiser.look()
        ratio = relative_depth(now.means, view.camera, view.depth)
        return self.remove((now.provenance == GENERATED) & (ratio < 1 + BEHIND))

    def witnesses(self) -> list[Reference]:
        """Return the real views trained on, with the depth they measured; their images are left out."""
        measured = [] if self._training is None else self._training.measured()
        return [Reference.of_depth(camera, depth) for camera, depth in measured]

    def prune(self) -> None:
        """Remove degenerate Gaussians and those that the latest views contradict."""
        if self._optimiser is not None:
            rows = self._optimiser.prune()
            self.ids, self.groups = self.ids[rows], self.groups[rows]

    def refine(self, seconds: float, progress: Progress) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; ``None`` where there is nothing to optimise."""
        return None if self._optimiser is None else self._optimiser.run(seconds=seconds, progress=progress)

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
            views = [view for view, name in enumerate(self._views) if groups.get(name) == group]
            if self._optimiser is not None:
                self._optimiser.move(np.flatnonzero(self.groups == group), views, motion)
            elif self._training is not None:
                self._training.move(views, motion)

    def remove(self, rows: NDArray[np.bool_]) -> int:
        """Remove the Gaussians at ``rows`` (mask [N]); return their number."""
        count = int(np.count_nonzero(rows))
        if count:
            self._keep(np.flatnonzero(~rows))
        return count

    def take(self, group: int, names: list[str]) -> TakenGaussians | None:
        """Remove and return the Gaussians of a submap and the views ``names``; ``None`` without any."""
        leaving = [view for view, name in enumerate(self._views) if name in set(names)]
        appearance = None if self._optimiser is None else self._optimiser.appearance(leaving)
        self._let_go(names, back_later=True)
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
        self.groups = np.where(self.groups == old, np.int32(new), self.groups)

    def evidence(self) -> Evidence:
        """Return what the confidence of ``snapshot()`` comes of."""
        if self._optimiser is None:
            return Evidence.of_map(np.empty(0, np.float32))
        return self._optimiser.evidence()

    def _let_go(self, names: Collection[str], back_later: bool) -> None:
        gone = set(names)
        if self._training is None or gone.isdisjoint(self._views):
            return
        staying = [view for view, name in enumerate(self._views) if name not in gone]
        if self._optimiser is None:
            self._training.keep(staying)
        else:
            self._optimiser.keep_views(staying, back_later)
        self._views = [self._views[view] for view in staying]

    def _keep(self, rows: NDArray[np.intp]) -> None:
        self.ids, self.groups = self.ids[rows], self.groups[rows]
        if self._optimiser is not None and len(rows):
            self._optimiser.keep_gaussians(rows)
        else:
            self._pruned, self._optimiser = self.pruned, None  # an optimiser of nothing cannot be
