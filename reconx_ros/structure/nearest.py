"""Which references show most of what a camera sees."""

from collections.abc import Sequence

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.structure.reference import Reference

STRIDE = 8
LEAST = 0.02
"""Share of a reference's points that must fall into the image for it to be of any use."""


def showing(
    references: Sequence[Reference], camera: Camera, count: int, least: float = LEAST
) -> list[Reference]:
    """Return up to ``count`` references, the one that shows most of the camera's image first.

    A reference shows as much as the share of its points (every 8th row and column) that fall into the
    image, times how much of the image's resolution it has there: far views show little detail. Those that
    show less than ``least`` are left out.
    """
    scores = np.array([_share(reference, camera) for reference in references])
    best = np.argsort(-scores, kind="stable")[:count]
    return [references[number] for number in best if scores[number] >= least]


def _share(reference: Reference, camera: Camera) -> float:
    few = reference.depth[::STRIDE, ::STRIDE]
    known = np.isfinite(few)
    if not known.any():
        return 0.0
    points = _strided(reference.camera, few.shape).unproject(few)[known]
    pixels, depth = camera.project(points.astype(np.float64))
    size = np.array([camera.width, camera.height])
    inside = (depth > 0) & (pixels > -0.5).all(axis=1) & (pixels < size - 0.5).all(axis=1)
    closeness = np.minimum(1.0, depth[inside] / few[known][inside])
    return float(closeness.sum()) / known.size


def _strided(camera: Camera, shape: tuple[int, ...]) -> Camera:
    """Return the camera that has every ``STRIDE``-th row and column of the image."""
    intrinsics = np.diag([1 / STRIDE, 1 / STRIDE, 1]) @ camera.intrinsics
    return Camera(intrinsics, camera.world_from_camera, shape[1], shape[0])
