"""Poses and the inverse depths of features, adjusted together: what ties the baselines to each other.

A pair of views alone says nothing of the length of its baseline, and depth is proportional to that. A
feature ``p`` of view ``i`` has one inverse depth ``w`` for all its matches ``q_j``:

    r_j = q_j - project_j(unproject_i(p, w))

so that baselines from ``i`` must agree in their ratios, and errors of single poses average out. The
residuals pull with a Cauchy loss, the given poses hold with Gaussian priors, and each ``w`` is
eliminated from the normal equations (Schur complement; Triggs et al. 2000), which leaves six unknowns a
view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
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


@dataclass(frozen=True)
class PosePrior:
    """How far a given pose may be off: standard deviations.

    Attributes:
        rotation: radians.
        translation: world units.
    """

    rotation: float
    translation: float


ITERATIONS = 8

LOSS = 1.0
"""Pixels at a width of 640: length of a residual at which it begins to lose its pull (Cauchy)."""

STEP = 1e-4
"""Of the numeric derivatives by poses, in standard deviations of the prior."""


def adjust(
    cameras: Sequence[Camera], stars: Sequence[Star], free: Sequence[int], prior: PosePrior
) -> list[Camera]:
    """Return ``cameras`` with the poses of the views in ``free`` adjusted to the matches.

    Args:
        cameras: with the given poses.
        stars: matches; each is used for the poses of all its views.
        free: indices of the views that may move, each by a few ``prior`` at most.
        prior: how far.
    """
    column = {view: 6 * i for i, view in enumerate(free)}
    scale = np.array([prior.rotation] * 3 + [prior.translation] * 3)
    offset = np.zeros(6 * len(free))
    moved = list(cameras)
    stars = [star for star in stars if len(star.pixels)]
    for iteration in range(ITERATIONS if stars else 0):
        loosen = max(1.0, 8.0 * 0.6**iteration)  # first the coarse errors, then the fine ones
        hessian, gradient = np.eye(len(offset)), offset.copy()
        for star in stars:
            _add_star(moved, star, column, scale, loosen, hessian, gradient)
        offset = offset - np.linalg.solve(hessian, gradient)
        for view, at in column.items():
            moved[view] = _moved(cameras[view], offset[at : at + 6] * scale)
    return moved


def _add_star(
    cameras: Sequence[Camera],
    star: Star,
    column: Mapping[int, int],
    scale: Array,
    loosen: float,
    hessian: Array,
    gradient: Array,
) -> None:
    """Add the normal equations of a star with the inverse depths eliminated, in units of the prior."""
    own, others = cameras[star.view], [cameras[i] for i in star.others]
    inverse = _inverse_depths(own, others, star)
    residual = _residuals(own, others, star, inverse)
    known = np.isfinite(residual[..., 0]) & np.isfinite(residual[..., 1])
    residual = np.where(known[..., None], residual, 0)
    sigma = LOSS * own.width / 640
    weight = known / (sigma**2 * (1 + np.square(residual).sum(axis=-1) / (loosen * sigma) ** 2))

    def slope(end: Array) -> Array:
        return np.where(known[..., None], end - residual, 0)

    nudge = 1e-4 * np.maximum(inverse, 1e-3 * np.median(inverse))
    by_depth = slope(_residuals(own, others, star, inverse + nudge)) / nudge[:, None, None]
    blocks: list[tuple[int, Array]] = []
    if star.view in column:
        turned = [_residuals(_nudged(own, axis, scale), others, star, inverse) for axis in range(6)]
        blocks.append((column[star.view], np.stack([slope(t) / STEP for t in turned], axis=-1)))
    for k, view in enumerate(star.others):
        if view in column:
            part = replace(star, others=(view,), matches=star.matches[:, k : k + 1])
            by_view = np.zeros((*residual.shape, 6))
            for axis in range(6):
                end = _residuals(own, [_nudged(others[k], axis, scale)], part, inverse)[:, 0]
                by_view[:, k, :, axis] = np.where(known[:, k, None], end - residual[:, k], 0) / STEP
            blocks.append((column[view], by_view))
    _eliminate(residual, weight, by_depth, blocks, hessian, gradient)


def _eliminate(
    residual: Array,
    weight: Array,
    by_depth: Array,
    blocks: Sequence[tuple[int, Array]],
    hessian: Array,
    gradient: Array,
) -> None:
    """Add the Schur complement of the inverse depths."""
    if not blocks:
        return
    features = len(residual)
    rows = np.concatenate([at + np.arange(6) for at, _ in blocks])
    jacobian = np.concatenate([block.reshape(features, -1, 6) for _, block in blocks], axis=-1)
    r, d = residual.reshape(features, -1), by_depth.reshape(features, -1)
    w = np.repeat(weight, 2, axis=1)
    weighted = jacobian * w[..., None]
    depth_depth = (w * d * d).sum(axis=1) + 1e-12
    depth_pose = np.einsum("fm,fmi->fi", d, weighted)
    depth_gradient = (w * d * r).sum(axis=1)
    flat = jacobian.reshape(-1, jacobian.shape[-1])
    # einsum and not @: matrices this small are slower on the threads of a BLAS.
    normal = np.einsum("mi,mj->ij", weighted.reshape(flat.shape), flat)
    normal -= np.einsum("fi,fj->ij", depth_pose / depth_depth[:, None], depth_pose)
    pull = np.einsum("fmi,fm->i", weighted, r) - depth_pose.T @ (depth_gradient / depth_depth)
    hessian[np.ix_(rows, rows)] += normal
    gradient[rows] += pull


def _inverse_depths(own: Camera, others: Sequence[Camera], star: Star) -> Array:
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


def _residuals(own: Camera, others: Sequence[Camera], star: Star, inverse: Array) -> Array:
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


def _nudged(camera: Camera, axis: int, scale: Array) -> Camera:
    motion = np.zeros(6)
    motion[axis] = STEP * scale[axis]
    return _moved(camera, motion)


def _moved(camera: Camera, motion: Array) -> Camera:
    """Return the camera turned about its own axes (first three numbers) and moved in the world."""
    pose = camera.world_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(motion[:3])[0]
    pose[:3, 3] += motion[3:]
    return replace(camera, world_from_camera=pose)
