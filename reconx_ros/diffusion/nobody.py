"""Nobody films: a contender like the others, whose frames are what the map shows without any.

Where the map shows something, real colours at measured or guessed depth, there is something to lose: a
prior harms the map if the mean of both is worse there than the map alone. Where the map shows nothing,
nobody says nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import EXPLAINED, GeneratedFrame, NoSynthesis, Scene
from reconx_ros.diffusion.seen import shown
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.progress import Progress
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

MOST = 8
"""Views the map is made of, those that show most of a frame: a contest is not to wait for hundreds."""

WIDTH = 256
"""Pixels of a frame, as many as the small model films by default."""

Unfilmed = Callable[[Sequence[Reference]], Scene]
"""The map that some views alone give."""


@dataclass(frozen=True, eq=False)
class Nobody(NoSynthesis):
    """Shows the map without filming, over the mean colour of its views, as finished maps are drawn.

    Attributes:
        unfilmed: makes that map.
    """

    unfilmed: Unfilmed

    def generate(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
    ) -> tuple[GeneratedFrame, ...]:
        """Draw the map of ``references`` and speak of what it shows; see ``protocol.Synthesizer``."""
        found = (self._frame(references, camera) for camera in trajectory.cameras)
        return tuple(frame for frame in found if frame is not None)

    def _frame(self, references: Sequence[Reference], camera: Camera) -> GeneratedFrame | None:
        near = showing(references, camera, MOST)
        if not near:
            return None
        scale = min(1.0, WIDTH / camera.width)
        small = camera.resized(round(scale * camera.width), round(scale * camera.height))
        color, alpha = self.unfilmed(near)(small)
        behind = np.mean([each.image.mean(axis=(0, 1)) for each in near], axis=0) / 255
        picture = np.clip(color + (1 - alpha[..., None]) * behind, 0, 1)
        return GeneratedFrame(
            image=(255 * picture).round().astype(np.uint8),
            confidence=(alpha >= EXPLAINED).astype(np.float32),
            depth=np.full(alpha.shape, np.nan, np.float32),
            seen=shown(near, small),
            camera=small,
        )
