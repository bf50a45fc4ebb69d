"""Sparse matches between posed views: how deep the scene is, who sees what, and whether poses fit.

SIFT features (plain ones: with the RootSIFT of ``geometry.sparse`` refined poses came out a little worse
on a real recording, with its precise upscale depth did) are matched between two views; matches that lie on
each other's epipolar line are triangulated. Matches that agree among themselves but not with the known
cameras say that a pose or the intrinsics are wrong.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.sparse.matching import fundamental_matrix

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Matches = tuple[Array, Array]
"""Pixels [M, 2] in the first and in the second view of a pair."""

MOST = 1500
"""Features a view."""

RATIO = 0.8
"""Distance of the best match to that of the second best, at most (Lowe 2004)."""

EPIPOLAR = 3.0
"""Pixels at a width of 640 from the epipolar line at which a match still fits."""

ROUGH = 12.0
"""Median distance, in the same pixels, over which a pose is not rough but wrong."""

LEAST_ANGLE = np.deg2rad(1.0)
"""Rays that meet under less tell nothing about depth."""

ENOUGH = 24
"""Matches from which a pair can be judged."""

FITTING = 0.5
"""Share of the matches that some rigid motion explains which the known cameras must explain."""


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
        fits: whether the known cameras explain the matches as well as any camera would; true where
            there are too few to tell.
    """

    first: Array
    second: Array
    angle: Array
    fits: bool


def find_features(image: NDArray[np.uint8]) -> Features:
    """Return the SIFT features of a grey image [H, W]."""
    detector = cv2.SIFT_create(nfeatures=MOST, contrastThreshold=0.02)  # type: ignore[attr-defined]
    keypoints, descriptors = detector.detectAndCompute(image, None)
    if descriptors is None:
        return Features(np.empty((0, 2)), np.empty((0, 128), np.float32))
    pixels = np.array([point.pt for point in keypoints], np.float64)
    return Features(pixels, np.asarray(descriptors, np.float32))


def match(first: Features, second: Features) -> tuple[Rows, Rows]:
    """Return rows [M] of features that are each other's best match, clearly better than the second best."""
    if min(len(first.pixels), len(second.pixels)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    a, b = first.descriptors, second.descriptors
    distance = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    rows = np.arange(len(a))
    nearest = distance.argmin(axis=1)
    mutual = distance.argmin(axis=0)[nearest] == rows
    best = distance[rows, nearest]
    distance[rows, nearest] = np.inf
    chosen = mutual & (best < RATIO**2 * distance.min(axis=1))
    return np.flatnonzero(chosen), nearest[chosen]


def common_points(matches: Matches, one: Camera, two: Camera) -> PairPoints:
    """Triangulate the matches that the cameras explain."""
    p, q = matches
    tolerance = EPIPOLAR * max(one.width, two.width) / 640
    depth_one, depth_two, angle = triangulate(p, q, one, two)
    good = (np.abs(sampson_distance(p, q, one, two)) < tolerance) & (depth_one > 0) & (depth_two > 0)
    fits = len(p) < ENOUGH or _fit(int(good.sum()), matches, tolerance)
    good &= angle > LEAST_ANGLE
    return PairPoints(depth_one[good], depth_two[good], angle[good], fits)


def near_enough(matches: Matches, one: Camera, two: Camera) -> bool:
    """Return whether most matches lie so near their epipolar lines that the poses can be put right."""
    distance = np.abs(sampson_distance(*matches, one, two))
    return len(distance) > 0 and float(np.median(distance)) < ROUGH * max(one.width, two.width) / 640


def _fit(good: int, matches: Matches, tolerance: float) -> bool:
    """Return whether ``good`` is enough of what one rigid motion of any camera explains."""
    if good >= FITTING * len(matches[0]):
        return True
    cv2.setRNGSeed(0)
    _, inliers = cv2.findFundamentalMat(*matches, cv2.FM_RANSAC, tolerance / 2, 0.99, 300)
    explained = 0 if inliers is None else int(inliers.sum())
    return explained < ENOUGH or good >= FITTING * explained


def sampson_distance(p: Array, q: Array, one: Camera, two: Camera) -> Array:
    """Return the signed Sampson distance in pixels of the matches p, q [M, 2], [M]."""
    fundamental = fundamental_matrix(one, two)
    ph, qh = np.c_[p, np.ones(len(p))], np.c_[q, np.ones(len(q))]
    line_two, line_one = ph @ fundamental.T, qh @ fundamental
    square = np.square(line_one[:, :2]).sum(axis=1) + np.square(line_two[:, :2]).sum(axis=1)
    return np.asarray((qh * line_two).sum(axis=1) / np.sqrt(np.maximum(square, 1e-30)))


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
