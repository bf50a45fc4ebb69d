"""What a map of some views shows before anything is filmed or optimised: what filming has to beat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import Scene
from reconx_ros.diffusion.trust import cloud_of
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.grow import unexplained
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.structure.reference import Reference


def unfilmed_map(references: Sequence[Reference], config: SplattingConfig, device: str = "auto") -> Scene:
    """Return how cameras see the map that ``references`` alone give: surfaces, and guesses behind holes.

    Args:
        references: at least one view with depth.
        config: shape of the Gaussians, and every how many pixels one is guessed.
        device: where the map may be drawn.

    Raises:
        SplattingError: the references have no depth.
    """
    gaussians = initialise(cloud_of(references), config)
    for each in references if config.guess_stride else ():
        new = unexplained(gaussians, each, each.depth, config, device)
        gaussians = GaussianMap.concatenate(gaussians, new)

    def shown(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        image, _, alpha = render_view(gaussians, camera, config.rasterizer, device)
        return image, alpha

    return shown
