"""Views that nobody took, for a live map: filmed from its newest keyframes when nothing else waits."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import Scene
from reconx_ros.diffusion.seen import also_seen
from reconx_ros.diffusion.synthesis import Studio, Synthesis, references_of
from reconx_ros.errors import ReconxError
from reconx_ros.geometry.protocol import Geometry, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.near import NearMap
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.rasterize import observed_by
from reconx_ros.splatting.unfilmed import unfilmed_map
from reconx_ros.structure.plan import plan_trajectory
from reconx_ros.structure.reference import Reference

NEWEST = 6
"""Keyframes that are filmed from."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the map knows beside its keyframes' images.

    Attributes:
        cloud: the structure condition.
        witnesses: all real views near, older ones too, with their depth: what they show is seen.
        place: number of the submap that the newest keyframe belongs to; a prior is measured anew in each.
        scene: the map so far, where frames are to keep to it.
    """

    cloud: PointCloud
    witnesses: Sequence[Reference] = ()
    place: int = 0
    scene: Scene | None = None


def surroundings_of(near: NearMap, config: ReconxConfig) -> Surroundings:
    """Return those of the newest keyframe, with the Gaussians so far where frames are to keep to them."""
    scene, live = None, near.gaussians.snapshot() if config.synthesis.small.grounding > 0 else None
    if live is not None and len(live[0]):
        scene = observed_by(live[0], *config.drawing)
    place = near.groups[near.keyframes[-1].name]
    return Surroundings(near.fusion.cloud(), near.gaussians.views.witnesses(), place, scene)


class Imagination:
    """Films for a live map, within ``synthesis.live_frames`` and ``synthesis.live_seconds``.

    Args:
        config: every stage's settings.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self._config = config.synthesis
        timed = self._config.model_copy(update={"seconds": self._config.live_seconds})
        unfilmed = partial(unfilmed_map, config=config.splatting, device=config.device)
        self._studio = Studio(timed, config.device, unfilmed)
        self._place = 0

    @property
    def wanted(self) -> bool:
        """Whether anything is to be filmed at all."""
        return self._config.method != "none" and self._config.live_frames > 0

    def reset(self) -> None:
        """Begin another map."""
        self._studio.forget()

    def load_soon(self) -> None:
        """Load the model in a thread of its own: it takes seconds, and nobody is to wait for it.

        What goes wrong is said by ``film``. The process does not end before it is done: to end amid
        torch's loading is a crash.
        """
        if self.wanted:
            threading.Thread(target=self._load, name="load synthesizer").start()

    def _load(self) -> None:
        with contextlib.suppress(ReconxError):
            self._studio.load()

    def film(
        self,
        keyframes: Sequence[Keyframe],
        room: Geometry,
        surroundings: Surroundings,
        progress: Progress,
    ) -> Synthesis:
        """Film between and beside the newest of ``keyframes``.

        Args:
            keyframes: in time order, at least one.
            room: gives their depth.
            surroundings: of the map that is filmed for.
            progress: asked whether to stop; what is filmed by then is not used.

        Raises:
            GeometryError: no depth for these keyframes.
        """
        newest = range(max(0, len(keyframes) - NEWEST), len(keyframes))
        estimate = room.estimate(keyframes, Silent(), only=list(newest))
        if surroundings.place != self._place:
            self._studio.forget()
            self._place = surroundings.place
        references, cloud = references_of(estimate), surroundings.cloud
        plan = self._studio.plan(references, progress)
        path = plan_trajectory(estimate.keyframes, self._config.live_frames, cloud, plan)
        done = self._studio.film(references, cloud, path, progress, surroundings.scene)
        if progress.cancelled():
            return Synthesis(report={"reason": "interrupted"}, interrupted=True)
        asked = {keyframe.camera.world_from_camera.tobytes() for keyframe in estimate.keyframes}
        others = [
            each for each in surroundings.witnesses if each.camera.world_from_camera.tobytes() not in asked
        ]
        frames = tuple(also_seen(frame, others) for frame in done.frames)
        return replace(done, frames=frames)
