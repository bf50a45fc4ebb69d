"""The live map: keyframes come one by one, the map is valid after every step."""

from dataclasses import asdict
from typing import Any

import numpy as np

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.geometry.fusion import CloudFusion
from reconx_ros.geometry.protocol import GeometryEstimate, PointCloud, PointMap
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.optimise import GaussianOptimiser, OptimisationReport
from reconx_ros.splatting.views import observed_views
from reconx_ros.stopwatch import Stopwatch


class IncrementalMapper:
    """Grows a Gaussian map keyframe by keyframe.

    ``add`` brings in what a view sees for the first time, ``refine`` optimises for a bounded time,
    ``snapshot`` gives the map as it is now.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget the map and all keyframes."""
        self._keyframes: list[Keyframe] = []
        self._fusion = CloudFusion(self.config.geometry.fusion)
        self._optimiser: GaussianOptimiser | None = None
        self._watch = Stopwatch()
        self._metric = True
        self._report: dict[str, Any] = {}

    def add(self, keyframe: Keyframe) -> PointMap:
        """Take in ``keyframe``: its geometry, its new points, and Gaussians for those.

        Returns:
            The pointmap of this keyframe.

        Raises:
            GeometryError: no geometry can be made of it; the map is as it was before.
        """
        views = [*self._keyframes, keyframe]
        with self._watch.stage("geometry"):
            geometry = choose_geometry(self.config.geometry, views)
            estimate = geometry.estimate(views, Silent(), only=[len(views) - 1])
            rows = self._fusion.add(estimate.keyframes[0], estimate.pointmaps[0])
        self._keyframes.append(estimate.keyframes[0])
        self._metric = estimate.metric
        with self._watch.stage("splatting"):
            self._grow(estimate, rows)
        return estimate.pointmaps[0]

    def refine(self, seconds: float, progress: Progress | None = None) -> OptimisationReport | None:
        """Optimise for at most ``seconds``; nothing happens before the first keyframe."""
        if self._optimiser is None:
            return None
        with self._watch.stage("splatting"):
            report = self._optimiser.run(seconds=seconds, progress=progress or Silent())
        self._report = asdict(report)
        return report

    def snapshot(self) -> Reconstruction | None:
        """Return the map as it is now, or ``None`` before the first keyframe."""
        if self._optimiser is None:
            return None
        report = {"seconds": dict(self._watch.seconds), "optimisation": self._report, "partial": False}
        return Reconstruction(
            self._optimiser.gaussians(),
            self._fusion.cloud(),
            tuple(self._keyframes),
            self._metric,
            self._optimiser.appearance(),
            report,
        )

    def load(self, reconstruction: Reconstruction) -> None:
        """Replace the map by ``reconstruction``; mapping goes on from there."""
        self.reset()
        self._fusion.restore(reconstruction.cloud)
        self._optimiser = self._start(reconstruction.gaussians)
        self._metric = reconstruction.metric

    def _start(self, gaussians: GaussianMap) -> GaussianOptimiser:
        return GaussianOptimiser(gaussians, self.config.splatting, self.config.device)

    def _grow(self, estimate: GeometryEstimate, rows: np.ndarray[Any, np.dtype[np.intp]]) -> None:
        new = _rows(self._fusion.cloud(), rows)
        if self._optimiser is None:
            self._optimiser = self._start(initialise(new, self.config.splatting))
        elif len(new):
            self._optimiser.add_gaussians(initialise(new, self.config.splatting))
        self._optimiser.add_views(observed_views(estimate))


def _rows(cloud: PointCloud, rows: np.ndarray[Any, np.dtype[np.intp]]) -> PointCloud:
    return PointCloud(
        cloud.points[rows],
        cloud.colors[rows],
        cloud.normals[rows],
        cloud.confidence[rows],
        cloud.provenance[rows],
        cloud.views[rows],
    )
