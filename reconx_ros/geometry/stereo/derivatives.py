"""The normal equations of a star in poses and focal lengths, without its inverse depths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.stereo.reprojection import Star, inverse_depths, residuals

Array = NDArray[np.float64]
LOSS = 1.0
"""Pixels at a width of 640: length of a residual at which it begins to lose its pull (Cauchy)."""

STEP = 1e-4
"""Of the derivatives by poses and focal lengths, in standard deviations of the prior."""


@dataclass(frozen=True, eq=False)
class Unknowns:
    """Where in the vector of unknowns, which are in units of their priors, things are.

    Attributes:
        pose: first of the six rows of each view that may move.
        scale: [6] standard deviations of the prior of a pose.
        focal: row of the logarithm of the focal length of each view; none where it is fixed.
        focal_scale: standard deviation of the prior of that logarithm.
    """

    pose: Mapping[int, int]
    scale: Array
    focal: Mapping[int, int]
    focal_scale: float


def add_star(
    cameras: Sequence[Camera],
    star: Star,
    unknowns: Unknowns,
    loosen: float,
    hessian: Array,
    gradient: Array,
) -> None:
    """Add the normal equations of a star with the inverse depths eliminated.

    Args:
        cameras: of all views, as they are now.
        star: matches.
        unknowns: what is looked for.
        loosen: factor of ``LOSS``.
        hessian: [U, U], changed.
        gradient: [U], changed.
    """
    own, others = cameras[star.view], [cameras[i] for i in star.others]
    inverse = inverse_depths(own, others, star)
    residual = residuals(own, others, star, inverse)
    known = np.isfinite(residual[..., 0]) & np.isfinite(residual[..., 1])
    residual = np.where(known[..., None], residual, 0)
    sigma = LOSS * own.width / 640
    weight = known / (sigma**2 * (1 + np.square(residual).sum(axis=-1) / (loosen * sigma) ** 2))
    nudge = 1e-4 * np.maximum(inverse, 1e-3 * np.median(inverse))
    deeper = residuals(own, others, star, inverse + nudge) - residual
    by_depth = np.where(known[..., None], deeper, 0) / nudge[:, None, None]
    ends = [*_by_pose(cameras, star, unknowns, inverse, residual)]
    ends += _by_focal(cameras, star, unknowns, inverse)
    if ends:
        rows = np.array([row for row, _ in ends])
        change = np.stack([end for _, end in ends], axis=-1) - residual[..., None]
        jacobian = np.where(known[..., None, None], change, 0) / STEP
        _eliminate(residual, weight, by_depth, (rows, jacobian), hessian, gradient)


def _by_pose(
    cameras: Sequence[Camera], star: Star, unknowns: Unknowns, inverse: Array, residual: Array
) -> Iterator[tuple[int, Array]]:
    """Yield the row of each number of a pose, and the residuals [F, K, 2] after a step of it."""
    own, others = cameras[star.view], [cameras[i] for i in star.others]
    if (row := unknowns.pose.get(star.view)) is not None:
        for axis in range(6):
            yield row + axis, residuals(_nudged(own, axis, unknowns.scale), others, star, inverse)
    for k, view in enumerate(star.others):
        if (row := unknowns.pose.get(view)) is not None:
            part = replace(star, others=(view,), matches=star.matches[:, k : k + 1])
            for axis in range(6):
                end = residual.copy()
                other = _nudged(others[k], axis, unknowns.scale)
                end[:, k] = residuals(own, [other], part, inverse)[:, 0]
                yield row + axis, end


def _by_focal(
    cameras: Sequence[Camera], star: Star, unknowns: Unknowns, inverse: Array
) -> Iterator[tuple[int, Array]]:
    """Yield the row of each focal length, and the residuals after a step of it in all its views."""
    views = (star.view, *star.others)
    factor = float(np.exp(STEP * unknowns.focal_scale))
    for row in sorted({unknowns.focal[view] for view in views if view in unknowns.focal}):
        longer = [
            zoomed(cameras[view], factor if unknowns.focal.get(view) == row else 1.0) for view in views
        ]
        yield row, residuals(longer[0], longer[1:], star, inverse)


def _eliminate(
    residual: Array,
    weight: Array,
    by_depth: Array,
    block: tuple[NDArray[np.intp], Array],
    hessian: Array,
    gradient: Array,
) -> None:
    """Add the Schur complement of the inverse depths; ``block`` is rows [B] and slopes [F, K, 2, B]."""
    features, (rows, slopes) = len(residual), block
    jacobian = slopes.reshape(features, -1, len(rows))
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


def moved(camera: Camera, motion: Array) -> Camera:
    """Return the camera turned about its own axes (first three numbers) and moved in the world."""
    pose = camera.world_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(motion[:3])[0]
    pose[:3, 3] += motion[3:]
    return replace(camera, world_from_camera=pose)


def zoomed(camera: Camera, factor: float) -> Camera:
    """Return the camera with focal lengths ``factor`` times as long."""
    intrinsics = camera.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] *= factor
    return replace(camera, intrinsics=intrinsics)


def _nudged(camera: Camera, axis: int, scale: Array) -> Camera:
    motion = np.zeros(6)
    motion[axis] = STEP * scale[axis]
    return moved(camera, motion)
