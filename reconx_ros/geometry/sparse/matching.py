"""Which feature of one view is which of another: mutual nearest neighbours with a ratio test."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.sparse.features import Features, Floats

Matches = NDArray[np.intp]
MAX_DISTANCE = 0.7
"""Distance of two unit descriptors beyond which they are never the same place."""

BLOCK = 1024
"""Rows of the similarity matrix at a time: 32 MB against 8192 features."""


def match(first: Features, second: Features, max_ratio: float) -> Matches:
    """Match two views by their descriptors alone.

    Args:
        first: features of the first view.
        second: features of the second.
        max_ratio: distance of the best match over that of the second best, at most (Lowe 2004).

    Returns:
        [M, 2] rows of ``first`` and of ``second``, ascending; each row at most once.
    """
    if min(len(first), len(second)) == 0:
        return np.zeros((0, 2), np.intp)
    best = np.zeros(len(first), np.intp)
    value = np.zeros(len(first), np.float32)
    good = np.zeros(len(first), bool)
    back = np.full(len(second), -1.0, np.float32)  # similarity of each of the second view's best match
    for start in range(0, len(first), BLOCK):
        rows = slice(start, min(start + BLOCK, len(first)))
        similarity = first.descriptors[rows] @ second.descriptors.T
        np.maximum(back, similarity.max(axis=0), out=back)
        best[rows], value[rows], good[rows] = _best(similarity, second.pixels, max_ratio)
    kept = np.flatnonzero(good & (value >= back[best]))
    _, once = np.unique(best[kept], return_index=True)  # of equal descriptors the first
    kept = kept[np.sort(once)]
    return np.stack([kept, best[kept]], axis=1)


def epipolar_distance(
    matches: Matches, features: tuple[Features, Features], cameras: tuple[Camera, Camera]
) -> NDArray[np.float64]:
    """Return how far the features of each match lie from each other's epipolar line.

    Args:
        matches: [M, 2] rows of both views.
        features: of both.
        cameras: of both.

    Returns:
        [M] pixels, the larger of the distances in the two images.
    """
    one, two = (
        np.concatenate([found.pixels[rows], np.ones((len(rows), 1))], axis=1)
        for found, rows in zip(features, matches.T, strict=True)
    )
    matrix = fundamental_matrix(*cameras)
    lines_two, lines_one = one @ matrix.T, two @ matrix
    residual = np.abs((lines_two * two).sum(axis=1))
    reach = np.minimum(np.linalg.norm(lines_two[:, :2], axis=1), np.linalg.norm(lines_one[:, :2], axis=1))
    return np.asarray(residual / np.maximum(reach, 1e-12))


def fundamental_matrix(first: Camera, second: Camera) -> NDArray[np.float64]:
    """Return F [3, 3] with ``x2^T F x1 = 0`` for the homogeneous pixels of a point in both views."""
    relative = second.camera_from_world @ first.world_from_camera
    x, y, z = relative[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    essential = cross @ relative[:3, :3]
    return np.asarray(np.linalg.inv(second.intrinsics).T @ essential @ np.linalg.inv(first.intrinsics))


def _best(
    similarity: Floats, pixels: Floats, max_ratio: float
) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
    """Return the best column of each row, its value, and whether it passes the ratio test.

    Spoils ``similarity``.
    """
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    value = similarity[rows, best]
    similarity[rows, best] = -2
    second = similarity.argmax(axis=1)
    rival = similarity[rows, second]
    # The same place with another orientation is no rival.
    same = np.flatnonzero(np.abs(pixels[best] - pixels[second]).max(axis=1) < 0.5)
    similarity[same, second[same]] = -2
    rival[same] = similarity[same].max(axis=1)
    distance = _distance(value)
    return best, value, (distance < max_ratio * _distance(rival)) & (distance <= MAX_DISTANCE)


def _distance(similarity: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(2 - 2 * similarity, 0)), dtype=np.float32)
