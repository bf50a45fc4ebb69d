"""Gaussians from the global cloud: one flat disc a point, as large as its neighbours are far."""

import logging

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reconx_ros.errors import SplattingError
from reconx_ros.geometry.protocol import PointCloud, map_confidence
from reconx_ros.splatting.config import InitialisationConfig, SplattingConfig
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.thin import thin

SH_C0 = 0.28209479177387814  # Y_00, the constant spherical harmonic
NEIGHBOURS = 3
OUTLIER = 5.0  # a point whose neighbours are this many medians away is no larger for it
_log = logging.getLogger(__name__)


def initialise(cloud: PointCloud, config: SplattingConfig, max_gaussians: int | None = None) -> GaussianMap:
    """Return a Gaussian for each point of ``cloud``, or for a subset that covers it under the cap.

    The standard deviation across the surface is ``initial.scale`` times the mean distance to the
    three nearest points; along the normal it is ``initial.thickness`` times that. A point without
    a normal becomes a ball. Colour goes into SH degree 0, higher degrees are zero.

    Args:
        cloud: N >= 1 finite points.
        config: SH degree and initial shape.
        max_gaussians: hard cap; ``config.max_gaussians`` where not given.

    Raises:
        SplattingError: the cloud is empty or has points that are not finite.
    """
    _check(cloud)
    cap = config.max_gaussians if max_gaussians is None else max_gaussians
    rows, _ = thin(cloud.points, cloud.confidence, cap)
    if len(rows) < len(cloud):
        _log.warning("%d points under the cap of %d Gaussians: %d kept", len(cloud), cap, len(rows))
    points = np.ascontiguousarray(cloud.points[rows], dtype=np.float32)
    deviation = config.initial.scale * spacing(points)
    log_scales, logits = discs(deviation, cloud.normals[rows], config.initial)
    return GaussianMap(
        means=points,
        log_scales=log_scales,
        quaternions_wxyz=disc_quaternions(cloud.normals[rows]),
        opacity_logits=logits,
        sh=harmonics(cloud.colors[rows], config.sh_degree),
        confidence=map_confidence(cloud.confidence[rows]),
        provenance=cloud.provenance[rows].astype(np.uint8),
    )


def spacing(points: Floats) -> Floats:
    """Return the mean distance [N] of each of ``points`` [N, 3] to its three nearest neighbours.

    Distances of outliers are limited to five medians; coincident points get a hundredth of the
    median, a lone point 1 % of its distance from the origin or 1 cm.
    """
    if len(points) == 1:
        return np.array([max(0.01 * float(np.linalg.norm(points[0])), 0.01)], np.float32)
    count = min(NEIGHBOURS, len(points) - 1)
    distances, _ = cKDTree(points).query(points, k=count + 1, workers=-1)
    mean = distances[:, 1:].mean(axis=1)
    positive = mean[mean > 0]
    median = float(np.median(positive)) if len(positive) else 0.01
    return np.asarray(np.clip(mean, 0.01 * median, OUTLIER * median), np.float32)


def disc_quaternions(normals: Floats) -> Floats:
    """Return unit quaternions wxyz [N, 4] that turn the z axis onto ``normals`` [N, 3] or their opposites.

    A disc has no front: the half space z >= 0 is enough, where the shortest turn is always defined.
    Unknown normals (NaN, zero) give the identity.
    """
    normals = np.where(_known(normals)[:, None], normals, np.array([0.0, 0.0, 1.0], np.float32))
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    x, y, z = np.where(normals[:, 2:] < 0, -normals, normals).T
    quaternions = np.stack([1 + z, -y, x, np.zeros_like(z)], axis=1)
    return np.asarray(quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True), np.float32)


def _known(normals: Floats) -> NDArray[np.bool_]:
    length = np.linalg.norm(normals, axis=1)
    known: NDArray[np.bool_] = np.isfinite(length) & (length > 1e-6)
    return known


def discs(deviation: Floats, normals: Floats, config: InitialisationConfig) -> tuple[Floats, Floats]:
    """Return log scales [N, 3] and opacity logits [N] of discs (balls where the normal is unknown).

    Args:
        deviation: [N] standard deviation across the surface, world units.
        normals: [N, 3].
        config: thickness and opacity.
    """
    thickness = np.where(_known(normals), config.thickness, 1.0)
    scales = np.stack([deviation, deviation, deviation * thickness], axis=1)
    logit = np.log(config.opacity / (1 - config.opacity))
    return np.log(scales).astype(np.float32), np.full(len(scales), logit, np.float32)


def harmonics(colors: NDArray[np.uint8], degree: int) -> Floats:
    """Return SH [N, (degree + 1)^2, 3] that show ``colors`` [N, 3] from everywhere."""
    sh = np.zeros((len(colors), (degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (colors / np.float32(255) - 0.5) / SH_C0
    return sh


def _check(cloud: PointCloud) -> None:
    if len(cloud) == 0:
        raise SplattingError("the cloud has no points; Gaussians need at least one")
    known = np.isfinite(cloud.points).all(axis=1) & ~np.isnan(cloud.confidence)
    if not known.all():
        raise SplattingError(
            f"{int((~known).sum())} of {len(cloud)} points of the cloud, or their confidences, are not "
            "finite; leave them out"
        )
