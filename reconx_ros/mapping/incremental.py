"""The live map: keyframes come one by one, the map is valid after every step."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import Scene
from reconx_ros.diffusion.synthesis import Synthesis
from reconx_ros.errors import MapError
from reconx_ros.geometry.choose import FROM_NEIGHBOURS, ROOMS, choose_method
from reconx_ros.geometry.fusion import CloudFusion
from reconx_ros.geometry.protocol import OBSERVED, Geometry, PointCloud, PointMap
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import shown_again
from reconx_ros.mapping.archive import Archive, RestingSubmap
from reconx_ros.mapping.far import FarAway, FarPoints
from reconx_ros.mapping.imagination import Imagination
from reconx_ros.mapping.live_gaussians import LiveGaussians
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.mapping.submaps import LOADED, Submaps
from reconx_ros.mapping.whole import whole_map
from reconx_ros.progress import Progress, Silent
from reconx_ros.sources.rigid import rigid_inverse
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.rasterize import observed_by
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.views import observed_view
from reconx_ros.stopwatch import Stopwatch

Array = NDArray[np.float64]

WAITING = 4
"""Keyframes whose geometry is asked for again when a new one comes, at most."""


class IncrementalMapper:
    """Grows a Gaussian map keyframe by keyframe, in bounded memory.

    ``add`` brings in what a view sees for the first time, ``refine`` optimises for a bounded time,
    ``snapshot`` gives the map as it is now, ``correct`` moves it where poses were wrong. Submaps far
    from the newest keyframe rest on disk (``config.mapping``).

    Args:
        config: every stage's settings.
        scratch: folder for submaps that rest on disk; ``None`` for a temporary one.
    """

    def __init__(self, config: ReconxConfig, scratch: Path | None = None) -> None:
        self.config, self._scratch = config, scratch
        self.imagination = Imagination(config)
        self.reset()

    def reset(self) -> None:
        """Forget the map and all keyframes."""
        fusion = self.config.geometry.fusion
        self._keyframes: list[Keyframe] = []
        self._rooms: dict[str, Geometry] = {}
        self._waiting: list[str] = []
        self._fusion = CloudFusion(fusion)
        self._gaussians = LiveGaussians(self.config)
        self.imagination.reset()
        self._imagined = Synthesis(report={"reason": "nothing was filmed yet"})
        self._submaps = Submaps(self.config.mapping)
        self._archive = Archive(self._scratch, fusion.voxel_size)
        self._far = FarAway(self.config.mapping)
        self._groups: dict[str, int] = {}
        self._poses: dict[str, Array] = {}
        self._watch = Stopwatch()
        self._metric = True
        self._report: dict[str, Any] = {}

    @property
    def ids(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of the points and of the Gaussians in memory, in the order of ``snapshot(whole=False)``."""
        return self._fusion.ids, self._gaussians.ids.copy()

    @property
    def submaps(self) -> tuple[int, int]:
        """Number of submaps, and of those that rest on disk."""
        return len(self._submaps.all), len(self._archive)

    def far(self) -> FarPoints:
        """Return points of the submaps that rest on disk, thinned out, the nearest submaps first."""
        return self._far.nearest(self._submaps.nearest())

    def add(self, keyframe: Keyframe) -> PointMap:
        """Take in ``keyframe``: its geometry, its new points, and Gaussians for those.

        Where depth comes from other views (stereo), the first keyframe, or one that no other overlaps
        yet, has none: its pointmap is unknown everywhere, nothing of it enters the map, and it is asked
        for again with each of the next keyframes.

        Returns:
            The pointmap of this keyframe.

        Raises:
            GeometryError: no geometry can be made of it; the map is as it was before.
            MapError: a submap cannot be put to disk or read back; the keyframe is in the map.
        """
        views = [*self._keyframes, keyframe]
        with self._watch.stage("geometry"):
            geometry = self._room(views)
            waiting = [i for i, view in enumerate(self._keyframes) if view.name in self._waiting]
            estimate = geometry.estimate(views, Silent(), only=[len(views) - 1, *waiting])
            taken, pointmap = estimate.keyframes[0], estimate.pointmaps[0]
            rows = self._fusion.add(taken, pointmap, OBSERVED, self._submaps.next(taken.camera))
        self._enter(taken)
        self._renew(taken)
        self._metric = estimate.metric
        if geometry.name in FROM_NEIGHBOURS and not pointmap.known.any():
            self._waiting = [*self._waiting, taken.name][-WAITING:]
        else:
            self._grow(taken, pointmap, rows)
        for late, found in zip(estimate.keyframes[1:], estimate.pointmaps[1:], strict=True):
            self._deliver(late, found)
        with self._watch.stage("submaps"):
            self._page()
        return pointmap

    def refine(self, seconds: float, progress: Progress | None = None) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; nothing happens before the first keyframe."""
        with self._watch.stage("splatting"):
            report = self._gaussians.refine(seconds, progress or Silent())
        if report is not None:
            self._report = asdict(report)
        return report

    def imagine(self, progress: Progress | None = None) -> int:
        """Film what no view saw beside the newest keyframes, and train on it from now on.

        What is generated is marked; a keyframe that comes later and measures there replaces it.

        Returns:
            The number of frames filmed; 0 where that is not wanted, impossible or was interrupted.

        Raises:
            GeometryError: the keyframes in memory have no depth.
        """
        if not self.imagination.wanted or not self._keyframes:
            return 0
        with self._watch.stage("synthesis"):
            room, cloud = self._room(self._keyframes), self._fusion.cloud()
            made = self.imagination.film(self._keyframes, room, cloud, progress or Silent(), self._scene())
        with self._watch.stage("splatting"):
            self._gaussians.imagine(made.frames, self._groups[self._keyframes[-1].name])
        self._imagined = made
        return len(made.frames)

    def _scene(self) -> Scene | None:
        """Return the Gaussians so far for frames to keep to, where that is wanted."""
        if self.config.synthesis.small.grounding == 0:
            return None
        live = self._gaussians.snapshot()
        return None if live is None else observed_by(live[0], self.config.splatting.rasterizer)

    def snapshot(self, whole: bool = True) -> Reconstruction | None:
        """Return the map as it is now, or ``None`` before the first keyframe.

        Args:
            whole: with the submaps that rest on disk; else what is near, in the order of ``ids``.

        Raises:
            MapError: a submap cannot be read back.
        """
        live = self._gaussians.snapshot()
        if live is None:
            return None
        report = {
            "seconds": dict(self._watch.seconds),
            "optimisation": self._report,
            "partial": False,
            "synthesizer": self._imagined.name,
            "synthesis": self._imagined.report,
            "generated_frames": len(self._imagined.frames),
            "synthesis_summary": self._imagined.summary,
        }
        near = Reconstruction(
            live[0], self._fusion.cloud(), tuple(self._keyframes), self._metric, live[1], report
        )
        return whole_map(near, self._archive, self.config) if whole and len(self._archive) else near

    def load(self, reconstruction: Reconstruction) -> None:
        """Replace the map by ``reconstruction``; mapping goes on from there."""
        self.reset()
        self._fusion.restore(reconstruction.cloud)
        self._gaussians.add(reconstruction.gaussians, LOADED)
        self._metric = reconstruction.metric

    def correct(self, poses: Mapping[str, Array]) -> int:
        """Move the map where poses of keyframes were corrected (a loop was closed).

        Each submap moves rigidly with its points, Gaussians and views; see ``Submaps.motions``.

        Args:
            poses: corrected world_from_camera [4, 4] by name of keyframe; unknown names are ignored.

        Returns:
            The number of submaps moved.

        Raises:
            GeometryError: a point would be too far from the origin of the world; nothing moved.
        """
        motions = self._submaps.motions(self._poses, poses)
        self._fusion.move(motions)
        self._gaussians.move(motions, self._groups)
        self._archive.move(motions)
        self._far.move(motions)
        self._submaps.moved(motions)
        for name, group in self._groups.items():
            if group in motions:
                self._poses[name] = motions[group] @ self._poses[name]
        self._keyframes = [replace(k, camera=k.camera.moved(self._poses[k.name])) for k in self._keyframes]
        return len(motions)

    def clear_box(self, low: Array, high: Array, world_from_box: Array | None = None) -> int:
        """Remove points and Gaussians whose centres lie in a box; return their number.

        Args:
            low: [3] smallest corner.
            high: [3] largest corner.
            world_from_box: [4, 4] frame of the corners and axes of the box; the world if ``None``.

        Raises:
            MapError: a submap cannot be read back or put to disk.
        """
        for number in self._archive:
            self._awake(number)
        box_from_world = rigid_inverse(np.eye(4) if world_from_box is None else world_from_box)
        points = _inside(self._fusion.cloud().points, box_from_world, low, high)
        self._fusion.remove(points)
        live = self._gaussians.snapshot()
        removed = 0 if live is None else self._remove(live[0].means, box_from_world, low, high)
        self._page()
        return removed + int(np.count_nonzero(points))

    def _remove(self, means: NDArray[np.float32], box_from_world: Array, low: Array, high: Array) -> int:
        return self._gaussians.remove(_inside(means, box_from_world, low, high))

    def _enter(self, keyframe: Keyframe) -> None:
        """Note a keyframe and the submap it belongs to."""
        submap = self._submaps.assign(keyframe.name, keyframe.camera)
        self._groups[keyframe.name] = submap.number
        self._poses[keyframe.name] = keyframe.camera.world_from_camera
        self._keyframes.append(keyframe)

    def _renew(self, keyframe: Keyframe) -> None:
        """Let old views go that ``keyframe`` shows again: places that are seen daily must not grow.

        What came of them stays. Where few views are left of a submap it joins that of ``keyframe``, else
        there would be ever more of them.
        """
        old = [k for k in self._keyframes if self._submaps.outlived(k.name)]
        gone = shown_again(keyframe, old, self.config.keyframes.max_overlap)
        if not gone:
            return
        self._gaussians.forget_views(gone)
        self._keyframes = [k for k in self._keyframes if k.name not in gone]
        mine, thinned = self._groups[keyframe.name], set[int]()
        for name in gone:
            number = self._groups.pop(name)
            del self._poses[name]
            self._submaps.leave(name, number)
            thinned.add(number)
        for number in sorted(thinned - {mine}):
            if self._submaps.absorb(number, mine):
                self._fusion.regroup(number, mine)
                self._gaussians.regroup(number, mine)
                self._groups = {n: mine if group == number else group for n, group in self._groups.items()}

    def _room(self, views: list[Keyframe]) -> Geometry:
        """Return the room for ``views``; it is kept, for rooms remember what they know of each view."""
        method, _ = choose_method(self.config.geometry, views)
        if method not in self._rooms:
            self._rooms[method] = ROOMS[method](self.config.geometry, True)
        return self._rooms[method]

    def _deliver(self, keyframe: Keyframe, pointmap: PointMap) -> None:
        """Bring in a keyframe that waited, if its geometry is known by now."""
        if pointmap.known.any():
            self._waiting.remove(keyframe.name)
            self._keyframes = [keyframe if k.name == keyframe.name else k for k in self._keyframes]
            self._poses[keyframe.name] = keyframe.camera.world_from_camera
            with self._watch.stage("geometry"):
                rows = self._fusion.add(keyframe, pointmap, OBSERVED, self._groups[keyframe.name])
            self._grow(keyframe, pointmap, rows)

    def _grow(self, keyframe: Keyframe, pointmap: PointMap, rows: NDArray[np.intp]) -> None:
        with self._watch.stage("splatting"):
            new, group = _rows(self._fusion.cloud(), rows), self._groups[keyframe.name]
            if len(new):
                self._gaussians.add(initialise(new, self.config.splatting), group)
            view = observed_view(keyframe, pointmap)
            self._gaussians.replace_imagined(view)
            self._gaussians.add_view(keyframe.name, view)
            self._gaussians.prune()
            self._gaussians.fill(keyframe, view.depth, group)

    def _page(self) -> None:
        """Put far submaps to disk and fetch near ones."""
        wanted = self._submaps.active()
        for number in self._archive:
            if number in wanted:
                self._awake(number)
        for number in set(self._groups.values()) - wanted - set(self._archive):
            self._rest(number)

    def _rest(self, number: int) -> None:
        mine = [k for k in self._keyframes if self._groups[k.name] == number]
        names = [k.name for k in mine]
        taken = self._gaussians.take(number, names)
        resting = RestingSubmap(tuple(mine), self._fusion.take(number), taken)
        self._keyframes = [k for k in self._keyframes if self._groups[k.name] != number]
        try:
            self._archive.store(number, resting)
        except MapError:
            self._put_back(number, resting)
            raise
        self._far.put(number, resting.voxels)

    def _awake(self, number: int) -> None:
        submap = self._archive.read(number)
        self._archive.remove(number)
        self._far.drop(number)
        self._put_back(number, submap)

    def _put_back(self, number: int, submap: RestingSubmap) -> None:
        self._fusion.put(submap.voxels)
        self._keyframes += submap.keyframes
        if submap.taken is not None:
            self._gaussians.add(submap.taken.gaussians, number, submap.taken.ids)
        for keyframe in submap.keyframes:
            views = [keyframe, *(k for k in self._keyframes if k is not keyframe)]
            estimate = self._room(views).estimate(views, Silent(), only=[0])
            self._gaussians.add_view(keyframe.name, observed_view(keyframe, estimate.pointmaps[0]))


def _inside(
    points: NDArray[np.float32], box_from_world: Array, low: Array, high: Array
) -> NDArray[np.bool_]:
    local = points @ box_from_world[:3, :3].T + box_from_world[:3, 3]
    return np.asarray(((local >= low) & (local <= high)).all(axis=1))


def _rows(cloud: PointCloud, rows: NDArray[np.intp]) -> PointCloud:
    return PointCloud(
        cloud.points[rows],
        cloud.colors[rows],
        cloud.normals[rows],
        cloud.confidence[rows],
        cloud.provenance[rows],
        cloud.views[rows],
    )
