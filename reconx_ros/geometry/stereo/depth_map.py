"""The depth of one view, from its neighbours: cost volume, aggregation, winner, slanted planes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo.device import cuda_serves, match_on_cuda
from reconx_ros.geometry.stereo.planes import shifts, sweep, transfer
from reconx_ros.geometry.stereo.semi_global import aggregate
from reconx_ros.geometry.stereo.slanted import fit_planes
from reconx_ros.geometry.stereo.volume import LEVELS, UNSEEN, cost_volume
from reconx_ros.geometry.stereo.winner import Winner, choose_winner
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce

Floats = NDArray[np.float32]

FINER = 1.5
"""A neighbour whose pixels are this many times finer is reduced to the size of ours."""


@dataclass(frozen=True, eq=False)
class StereoView:
    """A view ready for matching.

    Attributes:
        camera: of ``grey``.
        grey: [H, W] float32 in [0, 1].
    """

    camera: Camera
    grey: Floats

    @staticmethod
    def of(keyframe: Keyframe, most_width: int) -> "StereoView":
        """Return the grey image of ``keyframe``, at most ``most_width`` pixels wide."""
        small = reduce(keyframe, most_width)
        grey = cv2.cvtColor(small.image, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
        return StereoView(small.camera, np.asarray(grey, dtype=np.float32))

    def like(self, other: "StereoView") -> "StereoView":
        """Return this view with pixels about as fine as those of ``other``, where they are much finer."""
        ratio = self.camera.intrinsics[0, 0] / other.camera.intrinsics[0, 0]
        if ratio < FINER:
            return self
        size = (max(8, round(self.camera.width / ratio)), max(8, round(self.camera.height / ratio)))
        grey = cv2.resize(self.grey, size, interpolation=cv2.INTER_AREA)
        return StereoView(self.camera.resized(*size), np.asarray(grey, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class DepthMap:
    """What one view and its neighbours say, before other depth maps are asked.

    Attributes:
        camera: of the arrays.
        depth: [H, W] float32, NaN where no neighbour sees the pixel.
        shift: [H, W] float32, pixels that the point moves in the neighbours when its depth changes by
            its own size: what a pixel of matching error is worth.
        cost: [H, W] float32, 1 - NCC of the winner.
        margin: [H, W] float32 in [0, 1], see ``Winner``.
    """

    camera: Camera
    depth: Floats
    shift: Floats
    cost: Floats
    margin: Floats


def estimate_depth(
    view: StereoView, others: Sequence[StereoView], near: float, far: float, config: PlaneSweepConfig
) -> DepthMap:
    """Return the depth of ``view`` between ``near`` and ``far``, seen by at least one of ``others``."""
    others = [other.like(view) for other in others]
    transfers = [transfer(view.camera, other.camera) for other in others]
    moved = shifts(view.camera, transfers, near, far)
    planes = sweep(float(np.median(moved)), near, far, config.planes)
    winner = _match(view, others, np.array(transfers, np.float32), planes, config)
    inverse = winner.inverse
    if config.slanted:
        inverse = fit_planes(inverse, winner.margin, float(planes[1] - planes[0]))
    shift = shift_per_depth(inverse, transfers)
    depth = np.asarray(1 / inverse, dtype=np.float32)
    return DepthMap(view.camera, depth, shift, winner.cost, winner.margin)


def _match(
    view: StereoView,
    others: Sequence[StereoView],
    transfers: Floats,
    planes: Floats,
    config: PlaneSweepConfig,
) -> Winner:
    """Match on the GPU where one is used, and on the CPU where there is none or its memory runs out."""
    greys = [other.grey for other in others]
    if config.device != "cpu" and cuda_serves(config.device):
        found = match_on_cuda(view.grey, greys, transfers, planes, config)
        if found is not None:
            return found
    volume = cost_volume(
        view.grey, greys, transfers, planes, config.window // 2, config.noise, config.best_share
    )
    total = aggregate(
        volume, view.grey, config.small_step * LEVELS, config.large_step * LEVELS, config.edge
    )
    return choose_winner(volume, total, planes, LEVELS, UNSEEN)


def shift_per_depth(inverse: Floats, transfers: Sequence[NDArray[np.float64]]) -> Floats:
    """Return [H, W] the root mean square over neighbours of ``|dq / d log w|`` in pixels.

    With ``q = (A p + w b)_xy / (A p + w b)_z``: ``dq / d log w = w (b_xy - q b_z) / (A p + w b)_z``.
    """
    height, width = inverse.shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    square = np.zeros_like(inverse)
    for t in transfers:
        m = np.asarray(t, np.float32)
        u, v, z = (m[i, 0] * x + m[i, 1] * y + m[i, 2] + inverse * m[i, 3] for i in range(3))
        du, dv = (m[0, 3] - u / z * m[2, 3]) / z, (m[1, 3] - v / z * m[2, 3]) / z
        square += np.square(inverse) * (du * du + dv * dv)
    return np.asarray(np.sqrt(square / len(transfers)), dtype=np.float32)
