"""A view the Gaussians are trained on, real or generated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera


@dataclass(frozen=True, eq=False)
class TrainingView:
    """A view with the weight of each of its pixels.

    Attributes:
        camera: the camera of the image.
        image: [H, W, 3] float32 RGB in [0, 1].
        confidence: [H, W] float32 >= 0, the C_i of the paper's loss; 0 leaves a pixel out.
        depth: [H, W] float32 metres, NaN where unknown.
        provenance: ``OBSERVED`` or ``GENERATED``.
        filmed: whether a prior made it; such views get at most ``splatting.generated_share`` of the steps.
    """

    camera: Camera
    image: NDArray[np.float32]
    confidence: NDArray[np.float32]
    depth: NDArray[np.float32]
    provenance: int
    filmed: bool = False
