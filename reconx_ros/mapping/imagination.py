"""Views that nobody took, for a live map: filmed from its newest keyframes when nothing else waits."""

import contextlib
import threading
from collections.abc import Sequence

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import Scene
from reconx_ros.diffusion.synthesis import Studio, Synthesis, references_of
from reconx_ros.errors import ReconxError
from reconx_ros.geometry.protocol import Geometry, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress, Silent
from reconx_ros.structure.plan import plan_trajectory

NEWEST = 6
"""Keyframes that are filmed from."""


class Imagination:
    """Films for a live map, within ``synthesis.live_frames`` and ``synthesis.live_seconds``.

    Args:
        config: every stage's settings.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self._config = config.synthesis
        timed = self._config.model_copy(update={"seconds": self._config.live_seconds})
        self._studio = Studio(timed, config.device)

    @property
    def wanted(self) -> bool:
        """Whether anything is to be filmed at all."""
        return self._config.method != "none" and self._config.live_frames > 0

    def reset(self) -> None:
        """Begin another map."""
        self._studio.forget()

    def load_soon(self) -> None:
        """Load the model in a thread of its own: it takes seconds, and nobody is to wait for it.

        What goes wrong is said by ``film``.
        """
        if self.wanted:
            threading.Thread(target=self._load, name="load synthesizer", daemon=True).start()

    def _load(self) -> None:
        with contextlib.suppress(ReconxError):
            self._studio.load()

    def film(
        self,
        keyframes: Sequence[Keyframe],
        room: Geometry,
        cloud: PointCloud,
        progress: Progress,
        scene: Scene | None = None,
    ) -> Synthesis:
        """Film between and beside the newest of ``keyframes``.

        Args:
            keyframes: in time order, at least one.
            room: gives their depth.
            cloud: the structure condition.
            progress: asked whether to stop; what is filmed by then is not used.
            scene: the map so far.

        Raises:
            GeometryError: no depth for these keyframes.
        """
        newest = range(max(0, len(keyframes) - NEWEST), len(keyframes))
        estimate = room.estimate(keyframes, Silent(), only=list(newest))
        path = plan_trajectory(estimate.keyframes, self._config.live_frames, cloud, self._config.plan)
        done = self._studio.film(references_of(estimate), cloud, path, progress, scene)
        return Synthesis(report={"reason": "interrupted"}) if progress.cancelled() else done
