"""What becomes of a keyframe whose geometry is known: points, Gaussians, a view to train on."""

from dataclasses import dataclass

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.protocol import OBSERVED, GeometryEstimate, PointCloud, PointMap
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import shown_again
from reconx_ros.mapping.near import NearMap
from reconx_ros.mapping.submaps import Submaps
from reconx_ros.mapping.undo import all_or_nothing
from reconx_ros.mapping.witnesses import Witnesses
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.views import observed_view
from reconx_ros.stopwatch import Stopwatch

WAITING = 4
"""Keyframes whose geometry is asked for again when a new one comes, at most."""


@dataclass(frozen=True)
class Intake:
    """Takes keyframes into a map.

    Attributes:
        config: every stage's settings.
        near: what of the map is in memory.
        submaps: it is divided into.
        witnesses: of views that were replaced.
        watch: told which stage takes how long.
    """

    config: ReconxConfig
    near: NearMap
    submaps: Submaps
    witnesses: Witnesses
    watch: Stopwatch

    def take(self, estimate: GeometryEstimate, from_neighbours: bool) -> None:
        """Take in the new keyframe, the first of ``estimate``, and those that waited for it, or nothing.

        Args:
            estimate: their geometry.
            from_neighbours: whether depth comes from other views: what has none yet waits for them.

        Raises:
            ReconxError: no Gaussians can be made of it; all is as it was before.
        """
        with all_or_nothing(self.near, self.submaps, self.witnesses):
            self._take_new(estimate, from_neighbours)
            for late, found in zip(estimate.keyframes[1:], estimate.pointmaps[1:], strict=True):
                if late.name in self.near.waiting:  # else this keyframe has replaced it
                    self._deliver(late, found)

    def _take_new(self, estimate: GeometryEstimate, from_neighbours: bool) -> None:
        taken, pointmap = estimate.keyframes[0], estimate.pointmaps[0]
        with self.watch.stage("geometry"):
            new = self.near.fusion.add(taken, pointmap, OBSERVED, self.submaps.next(taken.camera))
        self.near.enter(taken, self.submaps.assign(taken.name, taken.camera).number)
        self._renew(taken)
        self.near.metric = estimate.metric
        if from_neighbours and not pointmap.known.any():
            self.near.waiting = [*self.near.waiting, taken.name][-WAITING:]
        else:
            self._grow(taken, pointmap, new)

    def _renew(self, keyframe: Keyframe) -> None:
        """Let old views go that ``keyframe`` shows again: places that are seen daily must not grow.

        What came of them stays. Where few views are left of a submap it joins that of ``keyframe``, else
        there would be ever more of them.
        """
        old = [k for k in self.near.keyframes if self.submaps.outlived(k.name)]
        gone = shown_again(keyframe, old, self.config.keyframes.max_overlap)
        if not gone:
            return
        left = self.near.forget(gone)
        views = {k.name: (k, left[k.name]) for k in old if k.name in left}
        self.near.released += self.witnesses.replace(views, self.near.keyframes)
        for name, number in left.items():
            self.submaps.leave(name, number)
        mine = self.near.groups[keyframe.name]
        for number in sorted(set(left.values()) - {mine}):
            if self.submaps.absorb(number, mine):
                self.near.regroup(number, mine)
                self.witnesses.regroup(number, mine)

    def _deliver(self, keyframe: Keyframe, pointmap: PointMap) -> None:
        """Bring in a keyframe that waited, if its geometry is known by now."""
        if pointmap.known.any():
            self.near.waiting.remove(keyframe.name)
            self.near.renew(keyframe)
            with self.watch.stage("geometry"):
                new = self.near.fusion.add(keyframe, pointmap, OBSERVED, self.near.groups[keyframe.name])
            self._grow(keyframe, pointmap, new)

    def _grow(self, keyframe: Keyframe, pointmap: PointMap, new: PointCloud) -> None:
        """Bring the Gaussians up to date with a view that created the points ``new``."""
        with self.watch.stage("splatting"):
            gaussians, group = self.near.gaussians, self.near.groups[keyframe.name]
            if len(new):
                gaussians.add(initialise(new, self.config.splatting), group)
            view = observed_view(keyframe, pointmap)
            self.near.guesses.replace(view)
            gaussians.add_views(keyframe.name, [view])
            gaussians.prune(view)
            self.near.guesses.fill(keyframe, view.depth, group)
