"""The live map: keyframes come one by one, the map is valid after every step."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.synthesis import Synthesis
from reconx_ros.geometry.choose import FROM_NEIGHBOURS
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.box import Box
from reconx_ros.mapping.distance_field import DistanceField
from reconx_ros.mapping.far import FarPoints
from reconx_ros.mapping.imagination import Imagination, surroundings_of
from reconx_ros.mapping.intake import Intake
from reconx_ros.mapping.local_field import local_field
from reconx_ros.mapping.near import NearMap
from reconx_ros.mapping.paging import Paging
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.mapping.rooms import Rooms
from reconx_ros.mapping.submaps import Submaps
from reconx_ros.mapping.whole import whole_map
from reconx_ros.mapping.witnesses import Witnesses
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.stopwatch import Stopwatch

Array = NDArray[np.float64]


class IncrementalMapper:
    """Grows a Gaussian map keyframe by keyframe, in bounded memory.

    ``add`` brings in what a view sees for the first time, ``refine`` optimises for a bounded time,
    ``snapshot`` gives the map as it is now, ``correct`` moves it where poses were wrong. Submaps far
    from the newest keyframe rest on disk (``config.mapping``).

    Args:
        config: every stage's settings.
        scratch: folder for submaps that rest on disk; ``None`` for a temporary one.

    Attributes:
        imagined: what was filmed last.
    """

    def __init__(self, config: ReconxConfig, scratch: Path | None = None) -> None:
        self.config, self._scratch = config, scratch
        self.imagination = Imagination(config)
        self.reset()

    def reset(self) -> None:
        """Forget the map and all keyframes."""
        self._near = NearMap(self.config)
        self._rooms = Rooms(self.config.geometry)
        self.imagination.reset()
        self.imagined = Synthesis(report={"reason": "nothing was filmed yet"})
        self._submaps = Submaps(self.config.mapping)
        self._paging = Paging(self.config, self._scratch)
        self._witnesses = Witnesses()
        self._watch = Stopwatch()
        self._report: dict[str, Any] = {}

    @property
    def released(self) -> list[str]:
        """Names of keyframes that the map can be built again without, since somebody looked."""
        return self._near.released

    @property
    def ids(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of the points and of the Gaussians in memory, in the order of ``snapshot(whole=False)``."""
        return self._near.fusion.ids, self._near.gaussians.ids

    @property
    def submaps(self) -> tuple[int, int]:
        """Number of submaps, and of those that rest on disk."""
        return len(self._submaps.all), len(self._paging.archive)

    @property
    def without_depth(self) -> int:
        """Keyframes in memory, where none of them has depth yet, for it comes from other views; else 0."""
        views, waiting = len(self._near.keyframes), len(self._near.waiting)
        return views if 0 < views == waiting else 0

    def far(self) -> FarPoints:
        """Return points of the submaps that rest on disk, thinned out, the nearest submaps first."""
        return self._paging.far(self._submaps.nearest())

    def add(self, keyframe: Keyframe) -> PointMap:
        """Take in ``keyframe``: its geometry, its new points, and Gaussians for those.

        Where depth comes from other views (stereo), the first keyframe, or one that no other overlaps
        yet, has none: its pointmap is unknown everywhere, nothing of it enters the map, and it is asked
        for again with each of the next keyframes.

        Returns:
            The pointmap of this keyframe.

        Raises:
            ReconxError: no geometry or no Gaussians can be made of it; the map is as it was before.
            MapError: a submap cannot be put to disk or read back; the keyframe is in the map.
        """
        views = [*self._near.keyframes, keyframe]
        with self._watch.stage("geometry"):
            geometry = self._rooms.choose(views)
            waiting = [i for i, view in enumerate(self._near.keyframes) if view.name in self._near.waiting]
            estimate = geometry.estimate(views, Silent(), only=[len(views) - 1, *waiting])
            self._rooms.warn(estimate.warnings(()))
        intake = Intake(self.config, self._near, self._submaps, self._witnesses, self._watch)
        intake.take(estimate, geometry.name in FROM_NEIGHBOURS)
        with self._watch.stage("submaps"):
            self._paging.turn(self._near, self._submaps.active(), self._rooms.choose)
        return estimate.pointmaps[0]

    def refine(self, seconds: float, progress: Progress | None = None) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; nothing happens before the first keyframe."""
        with self._watch.stage("splatting"):
            report = self._near.gaussians.refine(seconds, progress or Silent())
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
        if not self.imagination.wanted or not self._near.keyframes:
            return 0
        with self._watch.stage("synthesis"):
            views, surroundings = self._near.keyframes, surroundings_of(self._near, self.config)
            room = self._rooms.choose(views)
            made = self.imagination.film(views, room, surroundings, progress or Silent())
        if not made.interrupted:
            with self._watch.stage("splatting"):
                self._near.guesses.imagine(made.frames, surroundings.place)
        self.imagined = made
        return len(made.frames)

    def snapshot(self, whole: bool = True) -> Reconstruction | None:
        """Return the map as it is now, or ``None`` before there is anything in it.

        Args:
            whole: with the submaps that rest on disk; else what is near, in the order of ``ids``.

        Raises:
            MapError: a submap cannot be read back.
        """
        near = self._near.reconstruction(self._about(), whole)
        archive = self._paging.archive
        return whole_map(near, archive, self.config) if near and whole and len(archive) else near

    def _about(self) -> dict[str, Any]:
        """Return the report of the map as it is now."""
        return {
            **self._rooms.report,
            "warnings": list(self._rooms.warnings),
            "seconds": dict(self._watch.seconds),
            "optimisation": self._report,
            "pruned": asdict(self._near.gaussians.pruned),
            "partial": False,
            "synthesizer": self.imagined.name,
            "synthesis": self.imagined.report,
            "generated_frames": len(self.imagined.frames),
            "synthesis_summary": self.imagined.summary,
        }

    def field(self) -> DistanceField | None:
        """Return the distance field round the newest keyframe, ``None`` where it is not wanted."""
        config = self.config.mapping.distance_field
        if not config.live_radius or not self._near.keyframes:
            return None
        centre = self._near.keyframes[-1].camera.centre
        return local_field(self._near.fusion.cloud(), self._near.keyframes, centre, config)

    def load(self, reconstruction: Reconstruction) -> None:
        """Replace the map by ``reconstruction``; mapping goes on from there.

        All of its Gaussians stay, also where they are more than ``splatting.max_gaussians``.

        Raises:
            ReconxError: it is no valid map; the map that is there stays.
        """
        near = NearMap(self.config)
        made_by = {k: v for k, v in reconstruction.report.items() if k in ("geometry", "geometry_reason")}
        near.fusion.restore(reconstruction.cloud, made_by.get("geometry") in FROM_NEIGHBOURS)
        near.gaussians.restore(reconstruction.gaussians, reconstruction.evidence)
        near.metric = reconstruction.metric
        self.reset()
        self._near, self._rooms = near, Rooms(self.config.geometry, made_by)

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
        motions = self._submaps.motions(self._near.poses, poses)
        self._near.move(motions)
        self._paging.move(motions)
        self._witnesses.move(motions)
        self._submaps.moved(motions)
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
        box = Box.of(low, high, world_from_box)
        return self._paging.clear(box) + self._near.clear(box)
