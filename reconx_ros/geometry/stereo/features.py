"""Sparse matches between posed views: how deep the scene is, who sees what, and whether poses fit.

SIFT features are matched between two views; matches that lie on each other's epipolar line are
triangulated. Matches that agree among themselves but not with the known cameras say that a pose or
the intrinsics are wrong.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]

MOST = 1500
"""Features a view."""

RATIO = 0.8
"""Distance of the best match to that of the second best, at most (Lowe 2004)."""

EPIPOLAR = 2.0
"""Pixels at a width of 640 from the epipolar line: pose and distortion leave about one."""

LEAST_ANGLE = np.deg2rad(1.0)
"""Rays that meet under less tell nothing about depth."""

ENOUGH = 24
"""Matches from which a pair can be judged."""


@dataclass(frozen=True, eq=False)
class Features:
    """What a view is recognised by.

    Attributes:
        pixels: [N, 2] float64.
        descriptors: [N, 128] float32.
    """

    pixels: Array
    descriptors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PairPoints:
    """What two views have in common.

    Attributes:
        first: [M] float64 depths in the first view of the triangulated matches.
        second: [M] float64 depths in the second view.
        angle: [M] float64 radians between the two rays.
        matches: number of matches before any geometry.
        fits: whether the known cameras explain the matches as well as any camera would; true where
            there are too few to tell.
    """

    first: Array
    second: Array
    angle: Array
    matches: int
    fits: bool


def find_features(image: NDArray[np.uint8]) -> Features:
    """Return the SIFT features of a grey image [H, W]."""
    detector = cv2.SIFT_create(nfeatures=MOST, contrastThreshold=0.02)  # type: ignore[attr-defined]
    keypoints, descriptors = detector.detectAndCompute(image, None)
    if descriptors is None:
        return Features(np.empty((0, 2)), np.empty((0, 128), np.float32))
    pixels = np.array([point.pt for point in keypoints], np.float64)
    return Features(pixels, np.asarray(descriptors, np.float32))


def pair_points(first: Features, second: Features, one: Camera, two: Camera) -> PairPoints:
    """Match two views and triangulate what their cameras explain."""
    rows, columns = _mutual_matches(first.descriptors, second.descriptors)
    p, q = first.pixels[rows], second.pixels[columns]
    distance = epipolar_distance(p, q, one, two)
    tolerance = EPIPOLAR * max(one.width, two.width) / 640
    depth_one, depth_two, angle = triangulate(p, q, one, two)
    good = (distance < tolerance) & (depth_one > 0) & (depth_two > 0)
    fits = len(p) < ENOUGH or int(good.sum()) >= 0.5 * _explained(p, q, tolerance)
    good &= angle > LEAST_ANGLE
    return PairPoints(depth_one[good], depth_two[good], angle[good], len(p), fits)


def epipolar_distance(p: Array, q: Array, one: Camera, two: Camera) -> Array:
    """Return the larger distance in pixels of p and q [M, 2] from each other's epipolar line, [M]."""
    two_from_one = two.camera_from_world @ one.world_from_camera
    t = two_from_one[:3, 3]
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    fundamental = (
        np.linalg.inv(two.intrinsics).T @ cross @ two_from_one[:3, :3] @ np.linalg.inv(one.intrinsics)
    )
    ph, qh = np.c_[p, np.ones(len(p))], np.c_[q, np.ones(len(q))]
    line_two, line_one = ph @ fundamental.T, qh @ fundamental
    residual = np.abs((qh * line_two).sum(axis=1))
    length = np.minimum(np.linalg.norm(line_one[:, :2], axis=1), np.linalg.norm(line_two[:, :2], axis=1))
    return np.asarray(residual / np.maximum(length, 1e-12))


def triangulate(p: Array, q: Array, one: Camera, two: Camera) -> tuple[Array, Array, Array]:
    """Return the depths in both views where the rays of p and q [M, 2] are nearest, and their angle."""
    rays = [
        np.c_[x, np.ones(len(x))] @ np.linalg.inv(c.intrinsics).T @ c.world_from_camera[:3, :3].T
        for x, c in ((p, one), (q, two))
    ]
    a, b, between = rays[0], rays[1], two.centre - one.centre
    aa, bb, ab = (a * a).sum(axis=1), (b * b).sum(axis=1), (a * b).sum(axis=1)
    at, bt = a @ between, b @ between
    determinant = np.maximum(aa * bb - ab * ab, 1e-18)
    depth_one = (at * bb - bt * ab) / determinant
    depth_two = (at * ab - bt * aa) / determinant
    sine = np.sqrt(np.clip(determinant / (aa * bb), 0, 1))
    return depth_one, depth_two, np.arcsin(sine)


def _mutual_matches(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if min(len(first), len(second)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    product = first @ second.T  # SIFT descriptors are of equal length: the largest product is nearest
    distance = (first * first).sum(axis=1)[:, None] + (second * second).sum(axis=1) - 2 * product
    two_best = np.partition(distance, 1, axis=1)[:, :2]
    nearest = distance.argmin(axis=1)
    mutual = distance.argmin(axis=0)[nearest] == np.arange(len(first))
    rows = np.flatnonzero(mutual & (two_best[:, 0] < RATIO**2 * two_best[:, 1]))
    return rows, nearest[rows]


def _explained(p: Array, q: Array, tolerance: float) -> int:
    """Return how many matches one rigid motion of any camera explains."""
    cv2.setRNGSeed(0)
    _, inliers = cv2.findFundamentalMat(p, q, cv2.FM_RANSAC, tolerance, 0.99, 500)
    return 0 if inliers is None else int(inliers.sum())
