"""The optimiser with names on its rows: Gaussians keep an id for life and belong to a submap."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.grow import imagined, unexplained
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.prune import relative_depth
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.view import TrainingView
from reconx_ros.splatting.views import generated_views

IMAGINED = "imagined"
"""What generated frames are called among the views; no keyframe has this name, they are numbered."""

BEHIND = 0.1
"""Share of a measured depth up to which a Gaussian belongs to that surface."""


@dataclass(frozen=True, eq=False)
class TakenGaussians:
    """The Gaussians of a submap outside of the optimiser.

    Attributes:
        gaussians: N of them.
        ids: [N] int64.
        appearance: exposures of the views that left with them.
    """

    gaussians: GaussianMap
    ids: NDArray[np.int64]
    appearance: Appearance


class LiveGaussians:
    """Gaussians under optimisation, by submap; there may be none.

    Attributes:
        ids: [N] int64, for each Gaussian the number it keeps for life.
        groups: [N] int32, the submap of each.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self._config = config
        self._optimiser: GaussianOptimiser | None = None
        self._views: list[str] = []
        self._next_id = 0
        self.ids = np.empty(0, np.int64)
        self.groups = np.empty(0, np.int32)

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    def add(self, gaussians: GaussianMap, group: int, ids: NDArray[np.int64] | None = None) -> None:
        """Add Gaussians of a submap; over the cap, old and new are thinned out alike.

        Args:
            gaussians: to add.
            group: the submap.
            ids: of Gaussians that were here before; new ones are given where ``None``.

        Raises:
            SplattingError: numbers that are not finite; nothing is added then.
        """
        if len(gaussians) == 0:
            return
        before = len(self)
        if self._optimiser is None:
            self._optimiser = GaussianOptimiser(gaussians, self._config.splatting, self._config.device)
            rows = self._optimiser.first_rows
        else:
            rows = self._optimiser.add_gaussians(gaussians)
        if ids is None:
            ids = np.arange(self._next_id, self._next_id + len(gaussians))
            self._next_id += len(gaussians)
        self.ids = np.concatenate([self.ids[:before], ids])[rows]
        self.groups = np.concatenate([self.groups, np.full(len(gaussians), group, np.int32)])[rows]

    def add_view(self, name: str, view: TrainingView) -> None:
        """Train on ``view`` from now on, which counts as ``name``; without Gaussians nothing happens."""
        if self._optimiser is None:
            return
        before = self._optimiser.view_count
        self._optimiser.add_views([view])
        self._views += [name] * (self._optimiser.view_count - before)

    def fill(self, keyframe: Keyframe, depth: NDArray[np.float32], group: int) -> None:
        """Add Gaussians of guessed depth where ``keyframe`` shows what the map does not explain.

        Args:
            keyframe: a posed view.
            depth: [H, W] of it, NaN where unknown.
            group: the submap they belong to.
        """
        if self._optimiser is not None and self._config.splatting.guess_stride:
            now = self._optimiser.gaussians(evidence_views=0)
            self.add(unexplained(now, keyframe, depth, self._config.splatting), group)

    def imagine(self, frames: Sequence[GeneratedFrame], group: int) -> int:
        """Add what generated frames show and no view saw, and train on them; return how many Gaussians.

        Frames of an earlier call are no longer trained on; what came of them stays.

        Args:
            frames: generated.
            group: the submap they belong to.
        """
        if self._optimiser is None or not frames:
            return 0
        self.forget_frames()
        now = self._optimiser.gaussians(evidence_views=0)
        grown = imagined(now, frames, self._config.splatting)
        new = grown.select(np.arange(len(now), len(grown)))
        self.add(new, group)
        for view in generated_views(frames, self._config.splatting):
            self.add_view(IMAGINED, view)
        return len(new)

    def forget_frames(self) -> None:
        """Stop training on generated frames."""
        self.forget_views([IMAGINED])

    def forget_views(self, names: Collection[str]) -> None:
        """Stop training on the views ``names``; unknown names are ignored."""
        gone = set(names)
        if self._optimiser is not None and not gone.isdisjoint(self._views):
            staying = [view for view, name in enumerate(self._views) if name not in gone]
            self._optimiser.keep_views(staying)
            self._views = [self._views[view] for view in staying]

    def replace_imagined(self, view: TrainingView) -> int:
        """Remove what was generated where ``view`` has measured; return how many Gaussians.

        Observed beats generated: whatever was imagined at or in front of a surface that is measured now
        makes room for it. What lies behind that surface stays.
        """
        if self._optimiser is None:
            return 0
        now = self._optimiser.gaussians(evidence_views=0)
        ratio = relative_depth(now.means, view.camera, view.depth)
        return self.remove((now.provenance == GENERATED) & (ratio < 1 + BEHIND))

    def prune(self) -> None:
        """Remove degenerate Gaussians and those that the latest views contradict."""
        if self._optimiser is not None:
            rows = self._optimiser.prune()
            self.ids, self.groups = self.ids[rows], self.groups[rows]

    def refine(self, seconds: float, progress: Progress) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; ``None`` where there is nothing to optimise."""
        return None if self._optimiser is None else self._optimiser.run(seconds=seconds, progress=progress)

    def snapshot(self) -> tuple[GaussianMap, Appearance] | None:
        """Return the Gaussians in the order of ``ids``, with the views' exposures, if there are any."""
        if self._optimiser is None:
            return None
        return self._optimiser.gaussians(), self._optimiser.appearance()

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

    def remove(self, rows: NDArray[np.bool_]) -> int:
        """Remove the Gaussians at ``rows`` (mask [N]); return their number."""
        count = int(np.count_nonzero(rows))
        if count:
            self._keep(np.flatnonzero(~rows))
        return count

    def take(self, group: int, names: list[str]) -> TakenGaussians | None:
        """Remove and return the Gaussians of a submap and the views ``names``; ``None`` without any."""
        snapshot = self.snapshot()
        if snapshot is None or self._optimiser is None:
            return None
        mine = np.flatnonzero(self.groups == group)
        leaving = [view for view, name in enumerate(self._views) if name in set(names)]
        taken = TakenGaussians(
            snapshot[0].select(mine), self.ids[mine], self._optimiser.appearance(leaving)
        )
        self.forget_views(names)
        self.remove(self.groups == group)
        return taken

    def regroup(self, old: int, new: int) -> None:
        """Let what belongs to the submap ``old`` belong to ``new``."""
        self.groups[self.groups == old] = new

    def _keep(self, rows: NDArray[np.intp]) -> None:
        self.ids, self.groups = self.ids[rows], self.groups[rows]
        if self._optimiser is not None and len(rows):
            self._optimiser.keep_gaussians(rows)
        else:
            self._optimiser, self._views = None, []  # an optimiser of nothing cannot be
