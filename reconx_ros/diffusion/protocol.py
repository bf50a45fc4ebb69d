"""What every synthesizer gives: generated frames of known pose with per-pixel confidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.progress import Progress
from reconx_ros.structure.config import SHORT_CLIP
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

Scene = Callable[[Camera], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""The map so far: colour [H, W, 3] over black and alpha [H, W], both in [0, 1], as a camera sees it."""

EXPLAINED = 0.5
"""Alpha from which the map shows something at a pixel."""


@dataclass(frozen=True, eq=False)
class GeneratedFrame:
    """A frame that no camera took.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        confidence: [H, W] float32 in [0, 1]; 0 where the frame must not teach the map anything.
        depth: [H, W] float32 metres, guessed where no view measured it, NaN where unknown.
        seen: [H, W] bool, true where any real view, not only those it is filmed from, shows this
            pixel's surface with measured depth; true everywhere in a frame that is a real view itself.
        camera: the pose that was asked for.
    """

    image: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    depth: NDArray[np.float32]
    seen: NDArray[np.bool_]
    camera: Camera


class Synthesizer(Protocol):
    """A view synthesizer: none, the shipped small model, Wan-VACE."""

    @property
    def name(self) -> str:
        """As in the configuration and the report."""

    @property
    def clip(self) -> int:
        """Frames of a clip that it films best, where nothing else is configured."""

    def generate(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
    ) -> tuple[GeneratedFrame, ...]:
        """Film ``trajectory`` given what was seen.

        Args:
            references: the real views with their depth.
            cloud: the global point cloud, the structure condition.
            trajectory: the cameras wanted.
            progress: told about each step; asked whether to stop.

        Returns:
            Frames of a subset of ``trajectory``, in its order; empty where nothing can be said.

        Raises:
            SynthesisError: the model cannot be loaded or run; the observed map stays usable.
        """

    def believed(self, said: NDArray[np.float32], right: NDArray[np.bool_]) -> "Synthesizer":
        """Return the synthesizer with its confidence corrected by what was found of it.

        Args:
            said: [N] confidences it gave.
            right: [N], whether the colour was right.
        """

    def grounded(self, scene: Scene) -> "Synthesizer":
        """Return the synthesizer that keeps to what the map so far shows, if it can."""


class NoSynthesis:
    """Generate nothing: the map holds only what was seen."""

    name = "none"
    clip = SHORT_CLIP

    def generate(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
    ) -> tuple[GeneratedFrame, ...]:
        """Return no frames."""
        return ()

    def believed(self, said: NDArray[np.float32], right: NDArray[np.bool_]) -> "NoSynthesis":
        """Return itself: it claims nothing."""
        return self

    def grounded(self, scene: Scene) -> "NoSynthesis":
        """Return itself: it shows nothing."""
        return self
