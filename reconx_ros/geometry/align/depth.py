"""What the aligned pairs agree on: a depth for each pixel of a view, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.align import Alignment
from reconx_ros.geometry.align.pairs import PairPointMaps

Floats = NDArray[np.float32]

ROUNDS = 3
"""Rounds of reweighting."""

LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class AgreedDepth:
    """The depth of one view.

    Attributes:
        depth: [H, W] float32 along the optical axis, world units, NaN where no pair knows it.
        deviation: [H, W] float32, relative standard deviation that the pairs' spread shows; where one pair
            speaks alone, that of all pointmaps. NaN where the depth is.
        confidence: [H, W] float32, the highest C of the pairs (DUSt3R's rule), less where their trust is.
    """

    depth: Floats
    deviation: Floats
    confidence: Floats


def agreed_depth(view: int, pairs: Sequence[PairPointMaps], alignment: Alignment) -> AgreedDepth:
    """Return the depths that explain best what all pairs say of ``view``: those of the alignment, dense.

    The minimum over the depth along each ray of ``sum w rho(||depth ray - X||)``, with w = log C times the
    trust in the pair, by iteratively reweighted least squares.

    Args:
        view: index of the view; it is aligned.
        pairs: as given to ``align``.
        alignment: its answer.
    """
    camera = alignment.cameras[view]
    rays = camera.rays().astype(np.float32)
    square = (rays**2).sum(-1)
    said = [
        (_local(pair, side, camera, alignment, scale), pair.confidence[side].astype(np.float32), trust)
        for pair, scale, trust in zip(pairs, alignment.scales, alignment.trust, strict=True)
        for side in (0, 1)
        if pair.views[side] == view and np.isfinite(scale)
    ]
    if not said:
        nothing = np.full(square.shape, np.nan, np.float32)
        return AgreedDepth(nothing, nothing.copy(), np.ones_like(nothing))
    points = np.stack([local for local, _, _ in said])
    known = np.isfinite(points[..., 2])
    points[~known] = 0
    gain = np.stack([(confidence - 1) * np.float32(trust) for _, confidence, trust in said])
    weight = np.where(known, np.log1p(gain) + LEAST_WEIGHT, 0).astype(np.float32)
    depth, total, residual, pull = _reweighted(points, weight, rays, square, alignment.noise)
    spread = np.sqrt(
        (weight * pull * residual**2).sum(0) / np.maximum((weight * pull).sum(0), LEAST_WEIGHT)
    )
    alone = known.sum(0) < 2
    deviation = np.where(alone, alignment.noise, spread / np.maximum(depth, 1e-9))
    unknown = (total <= 0) | (depth <= 0)
    depth[unknown], deviation[unknown] = np.nan, np.nan
    best = np.where(unknown, 1, 1 + np.where(known, gain, 0).max(0))
    return AgreedDepth(depth, deviation.astype(np.float32), best.astype(np.float32))


def _reweighted(
    points: Floats, weight: Floats, rays: Floats, square: Floats, noise: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return depth [H, W], total weight [H, W], residuals and their factors [B, H, W].

    Starts from the median, so that one wrong pair among several does not pull.
    """
    along = (points * rays).sum(-1)
    width = np.float32(noise) * np.linalg.norm(points, axis=-1) + np.float32(1e-9)
    depth = _median(np.where(weight > 0, along / square, np.float32(np.nan)))
    for _ in range(ROUNDS):
        residual = np.linalg.norm(depth[..., None] * rays - points, axis=-1)
        pull = 1 / np.sqrt(1 + (residual / width) ** 2)
        total = (weight * pull).sum(0)
        depth = (weight * pull * along).sum(0) / np.maximum(total * square, 1e-12)
    residual = np.linalg.norm(depth[..., None] * rays - points, axis=-1)
    return depth, total, residual, pull


def _median(values: Floats) -> Floats:
    """Return the lower median [H, W] of the known among [B, H, W], 0 where none is."""
    ordered = np.sort(values, axis=0)  # NaN last
    middle = np.maximum(np.isfinite(values).sum(0) - 1, 0) // 2
    return np.asarray(np.nan_to_num(np.take_along_axis(ordered, middle[None], 0)[0]), dtype=np.float32)


def _local(pair: PairPointMaps, side: int, camera: Camera, alignment: Alignment, scale: float) -> Floats:
    """Return the points [H, W, 3] that ``pair`` says of one of its views, in that view's camera frame."""
    scaled = pair.points[side].astype(np.float32) * np.float32(scale)
    if side == 0:
        return scaled
    relative = camera.camera_from_world @ alignment.cameras[pair.first].world_from_camera
    local = scaled @ relative[:3, :3].T.astype(np.float32) + relative[:3, 3].astype(np.float32)
    return np.asarray(local, dtype=np.float32)
