"""The two plain maps that ours must beat, made of the same inputs at their full size.

``points``: every input pixel with depth as a splat. ``tsdf``: an Open3D TSDF mesh with vertex colours.
Where they have nothing to show, both show the mean colour of the inputs.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.evaluation.metrics import Image, Mask
from reconx_ros.evaluation.splats import Splats, draw_splats, splats_from_cloud, splats_from_keyframes
from reconx_ros.evaluation.tsdf import draw_mesh, tsdf_mesh, voxel_size
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe


class Baseline(Protocol):
    """A map that can be looked at."""

    def render(self, camera: Camera) -> tuple[Image, Mask]:
        """Return the [H, W, 3] image and the [H, W] mask of pixels that show the map."""


class PointsBaseline:
    """The coloured input cloud, splatted.

    Args:
        inputs: the views; where none has depth, the points of ``cloud`` take their place.
        cloud: the global cloud of the reconstruction.
    """

    def __init__(self, inputs: Sequence[Keyframe], cloud: PointCloud) -> None:
        measured = splats_from_keyframes(inputs)
        self.splats: Splats = measured if len(measured.points) else splats_from_cloud(cloud)
        self.background = mean_colour(inputs)

    def render(self, camera: Camera) -> tuple[Image, Mask]:
        """Draw the splats."""
        return draw_splats(self.splats, camera, self.background)


class TsdfBaseline:
    """The mesh of a truncated signed distance function.

    Args:
        inputs: the views, at least one with depth.
        metric: whether the world is in metres (decides the voxel size).
    """

    def __init__(self, inputs: Sequence[Keyframe], metric: bool) -> None:
        self.mesh = tsdf_mesh(inputs, voxel_size(inputs, metric))
        self.background = mean_colour(inputs)

    def render(self, camera: Camera) -> tuple[Image, Mask]:
        """Cast rays at the mesh."""
        return draw_mesh(self.mesh, camera, self.background)


def mean_colour(views: Sequence[Keyframe]) -> NDArray[np.float32]:
    """[3] float32 in [0, 1], over all pixels of all views."""
    means = [view.image.reshape(-1, 3).mean(axis=0) for view in views]
    return np.asarray(np.mean(means, axis=0) / 255, dtype=np.float32)
