"""Degenerate Gaussians: those nobody sees, needles, and floaters in space that was seen to be free."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.splatting import model
from reconx_ros.splatting.blocks import Blocks
from reconx_ros.splatting.config import LimitsConfig
from reconx_ros.splatting.gaussians import Floats, GaussianMap

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

FREE = 0.1
"""Share of a measured depth by which a Gaussian must be nearer to float in front of that surface; within it
the Gaussian belongs to it."""

AT_LIMIT = 0.99
"""Share of the largest anisotropy from which a Gaussian counts as a needle."""


@dataclass(frozen=True)
class Pruned:
    """How many Gaussians were removed, and why.

    Attributes:
        transparent: whose opacity is too low to be drawn.
        needles: as thin as the limits allow, and longer than ``limits.max_needle``.
        floaters: in front of surfaces that were measured.
    """

    transparent: int = 0
    needles: int = 0
    floaters: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        """Add up two counts."""
        return Pruned(
            self.transparent + other.transparent,
            self.needles + other.needles,
            self.floaters + other.floaters,
        )


def degenerate(
    gaussians: GaussianMap, views: Iterable[tuple[Camera, Floats]], limits: LimitsConfig, extent: float
) -> tuple[Mask, Pruned]:
    """Return which Gaussians [N] are degenerate, and how many for each reason (the first that holds).

    Args:
        gaussians: N of them.
        views: cameras with depth [H, W], NaN where unknown.
        limits: what counts as a needle.
        extent: of the scene, in world units.
    """
    transparent = _sigmoid(gaussians.opacity_logits) < model.ALPHA_MIN
    thin = needles(gaussians, limits, extent) & ~transparent
    floating = floaters(gaussians, views) & ~transparent & ~thin
    counts = (int(np.count_nonzero(mask)) for mask in (transparent, thin, floating))
    return transparent | thin | floating, Pruned(*counts)


def needles(gaussians: GaussianMap, limits: LimitsConfig, extent: float) -> Mask:
    """Return which Gaussians [N] are at the limit of anisotropy and longer than ``max_needle``."""
    scales = np.sort(np.exp(gaussians.log_scales.astype(np.float64)), axis=1)
    thin = scales[:, 2] >= AT_LIMIT * limits.max_anisotropy * scales[:, 1]
    return np.asarray(thin & (scales[:, 2] > limits.max_needle * extent), np.bool_)


def floaters(gaussians: GaussianMap, views: Iterable[tuple[Camera, Floats]]) -> Mask:
    """Return which Gaussians [N] hang in space that was seen to be free.

    A view contradicts a Gaussian whose mean is nearer than ``1 - FREE`` times the depth measured where
    it projects to, and supports one whose mean lies within ``FREE`` of it. Observed Gaussians go when
    more views contradict than support them, at least two; generated ones at the first contradiction
    that no view outweighs: what is observed beats what was imagined.
    """
    against = np.zeros(len(gaussians), np.int32)
    support = np.zeros_like(against)
    blocks = Blocks.of(gaussians.means, gaussians.log_scales)
    for camera, depth in views:
        rows = blocks.rows(blocks.seen(camera, farthest(depth)))
        if len(rows):
            ratio = relative_depth(gaussians.means[rows], camera, depth)
            against[rows] += ratio < 1 - FREE
            support[rows] += np.abs(ratio - 1) <= FREE
    needed = np.where(gaussians.provenance == GENERATED, 1, 2)
    return np.asarray((against >= needed) & (against > support), np.bool_)


def farthest(depth: Floats) -> float:
    """Return the depth beyond which a view that measured ``depth`` [H, W] says nothing of a Gaussian."""
    return float((1 + FREE) * np.fmax.reduce(depth, axis=None, initial=0))


def relative_depth(means: Floats, camera: Camera, depth: Floats) -> NDArray[np.float64]:
    """Return depth over measured depth [N] of points [N, 3]; NaN where not in view or not measured."""
    ratio = np.full(len(means), np.nan)
    pose = np.ascontiguousarray(camera.camera_from_world)
    intrinsics = np.ascontiguousarray(camera.intrinsics)
    _relative_depth(np.ascontiguousarray(means), pose, intrinsics, np.ascontiguousarray(depth), ratio)
    return ratio


@njit(cache=True, parallel=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _relative_depth(means: Floats, pose: Array, intrinsics: Array, depth: Floats, ratio: Array) -> None:
    """Fill in ``relative_depth``: every keyframe asks it for all views that look where it does."""
    height, width = depth.shape
    for row in prange(len(means)):
        x, y, z = np.float64(means[row, 0]), np.float64(means[row, 1]), np.float64(means[row, 2])
        away = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
        if away > model.NEAR:
            right = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]) / away
            down = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]) / away
            u = np.rint(intrinsics[0, 0] * right + intrinsics[0, 1] * down + intrinsics[0, 2])
            v = np.rint(intrinsics[1, 0] * right + intrinsics[1, 1] * down + intrinsics[1, 2])
            if 0 <= u < width and 0 <= v < height:
                ratio[row] = away / depth[int(v), int(u)]


def _sigmoid(logits: Floats) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))
