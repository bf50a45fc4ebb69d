"""Features of a view with their matches in others: inverse depths, and how far matches are from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Star:
    """The features of a view with their matches in others.

    Attributes:
        view: index of the view.
        others: indices of the K others.
        pixels: [F, 2] features of the view.
        matches: [F, K, 2] pixels in the others, NaN without a match.
    """

    view: int
    others: tuple[int, ...]
    pixels: Array
    matches: Array

    def strongest(self, most: int) -> "Star":
        """Return the ``most`` features with the most matches; those without any are left out."""
        count = np.isfinite(self.matches[..., 0]).sum(axis=1)
        order = np.argsort(-count, kind="stable")[:most]
        order = order[count[order] > 0]
        return replace(self, pixels=self.pixels[order], matches=self.matches[order])


def inverse_depths(own: Camera, others: Sequence[Camera], star: Star) -> Array:
    """Return the inverse depth [F] that each feature's matches agree on best, at least nearly 0.

    With ``h = A p + w b`` a match asks for ``h_xy - q h_z = 0``, which is linear in ``w``.
    """
    above = below = np.zeros(len(star.pixels))
    for k, other in enumerate(others):
        start, step, q = _line(own, other, star.pixels), _step(own, other), star.matches[:, k]
        value = start[:, :2] - q * start[:, 2:]
        slope = step[:2] - q * step[2]
        at = np.where(np.isfinite(q[:, :1]), 1 / np.maximum(np.abs(start[:, 2:]), 1e-9), 0)
        value, slope = np.nan_to_num(value * at), np.nan_to_num(slope * at)
        above, below = above - (value * slope).sum(axis=1), below + np.square(slope).sum(axis=1)
    inverse = above / np.maximum(below, 1e-30)
    typical = np.median(inverse[inverse > 0]) if (inverse > 0).any() else 1.0
    return np.asarray(np.clip(inverse, 1e-3 * typical, 1e2 * typical))


def residuals(own: Camera, others: Sequence[Camera], star: Star, inverse: Array) -> Array:
    """Return projected minus matched pixels [F, K, 2], NaN without a match."""
    columns = []
    for k, other in enumerate(others):
        h = _line(own, other, star.pixels) + inverse[:, None] * _step(own, other)
        front = np.where(h[:, 2:] > 1e-9, h[:, 2:], np.nan)
        columns.append(h[:, :2] / front - star.matches[:, k])
    return np.stack(columns, axis=1)


def _line(own: Camera, other: Camera, pixels: Array) -> Array:
    rotation = (other.camera_from_world @ own.world_from_camera)[:3, :3]
    a = other.intrinsics @ rotation @ np.linalg.inv(own.intrinsics)
    return np.asarray(np.c_[pixels, np.ones(len(pixels))] @ a.T)


def _step(own: Camera, other: Camera) -> Array:
    between = (other.camera_from_world @ own.world_from_camera)[:3, 3]
    return np.asarray(other.intrinsics @ between)
