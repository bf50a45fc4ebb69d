"""What a live map guesses where nothing was measured, and how what is measured later does away with it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.live_gaussians import LiveGaussians
from reconx_ros.splatting.grow import imagined, unexplained
from reconx_ros.splatting.prune import FREE, farthest, relative_depth
from reconx_ros.splatting.view import TrainingView


class Guesses:
    """The generated ones among the Gaussians of a live map.

    Args:
        config: every stage's settings.
        gaussians: all of them.
    """

    def __init__(self, config: ReconxConfig, gaussians: LiveGaussians) -> None:
        self._config, self._gaussians = config, gaussians

    def fill(self, keyframe: Keyframe, depth: NDArray[np.float32], group: int) -> None:
        """Add Gaussians of guessed depth where ``keyframe`` shows what the map does not explain.

        Args:
            keyframe: a posed view.
            depth: [H, W] of it, NaN where unknown.
            group: the submap they belong to.
        """
        optimiser, config = self._gaussians.optimiser, self._config.splatting
        if optimiser is not None and config.guess_stride:
            now = optimiser.shapes(optimiser.in_view(keyframe.camera))
            self._gaussians.add(unexplained(now, keyframe, depth, config, self._config.device), group)

    def imagine(self, frames: Sequence[GeneratedFrame], group: int) -> int:
        """Add what generated frames show and no view saw, and train on them; return how many Gaussians.

        Frames of an earlier call are no longer trained on; what came of them stays.

        Args:
            frames: generated.
            group: the submap they belong to.
        """
        optimiser, views = self._gaussians.optimiser, self._gaussians.views
        views.forget_frames(optimiser)
        if optimiser is None or not frames:
            return 0
        now = optimiser.look()
        grown = imagined(now, frames, self._config.splatting, self._config.device)
        new = grown.select(np.arange(len(now), len(grown)))
        self._gaussians.add(new, group)
        views.teach(frames)
        return len(new)

    def replace(self, view: TrainingView) -> int:
        """Remove what was generated where ``view`` has measured; return how many Gaussians.

        Observed beats generated: whatever was imagined at or in front of a surface that is measured now
        makes room for it. What lies behind that surface stays. Where ``view`` looks, generated frames
        teach as little as if it had been there when they were filmed.
        """
        optimiser = self._gaussians.optimiser
        if optimiser is None:
            return 0
        self._gaussians.views.outdo(view, optimiser)
        now, rows = optimiser.look(), optimiser.in_view(view.camera, farthest(view.depth))
        ratio = relative_depth(now.means[rows], view.camera, view.depth)
        return self._gaussians.remove_rows(rows[(now.provenance[rows] == GENERATED) & (ratio < 1 + FREE)])
