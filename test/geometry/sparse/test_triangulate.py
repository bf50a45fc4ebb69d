from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.sparse.confidence import observation_confidence
from reconx_ros.geometry.sparse.features import Features
from reconx_ros.geometry.sparse.triangulate import SparsePoints, triangulate

RANDOM = np.random.default_rng(3)
POINTS = RANDOM.uniform([-1, -0.7, 2.5], [1, 0.7, 4], (60, 3))


def camera(x: float, turn: float = 0.0) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = x
    pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    return Camera(np.array([[400.0, 0, 239.5], [0, 400, 179.5], [0, 0, 1]]), pose, 480, 360)


CAMERAS = [camera(-0.5, 0.15), camera(0.0), camera(0.4, -0.1)]


def seen(noise: float, seed: int = 0) -> list[Features]:
    random = np.random.default_rng(seed)
    return [
        Features(
            (c.project(POINTS)[0] + random.normal(0, noise, (60, 2))).astype(np.float32),
            np.zeros((60, 1), np.float32),
        )
        for c in CAMERAS
    ]


def all_matches(count: int = 60) -> dict[tuple[int, int], NDArray[np.intp]]:
    rows = np.stack([np.arange(count), np.arange(count)], axis=1)
    return dict.fromkeys(combinations(range(3), 2), rows)


def in_order(found: SparsePoints) -> NDArray[np.intp]:
    """The true point of each found one: features are numbered as the points are."""
    first = np.unique(found.observations[:, 0], return_index=True)[1]
    return found.observations[first, 2]


def test_exact_pixels_give_exact_points_with_all_three_views() -> None:
    found = triangulate(CAMERAS, seen(0.0), all_matches(), 2.0, 1.0)
    assert len(found) == 60
    assert (found.views() == 3).all()
    np.testing.assert_allclose(found.points, POINTS[in_order(found)], atol=1e-4)


def test_wrong_matches_are_left_out() -> None:
    features = seen(0.3)
    pixels = features[2].pixels.copy()
    pixels[:20] = RANDOM.permutation(pixels[:20]) + 25
    features[2] = Features(pixels, features[2].descriptors)
    found = triangulate(CAMERAS, features, all_matches(), 2.0, 1.0)
    errors = np.linalg.norm(found.points - POINTS[in_order(found)], axis=1)
    right = errors < 0.1
    assert right.sum() >= 58
    wrong_observations = (found.observations[:, 1] == 2) & (found.observations[:, 2] < 20)
    assert wrong_observations.sum() <= 2


def test_rays_that_hardly_part_make_no_point() -> None:
    near = [camera(0.0), camera(0.001)]
    features = [
        Features(c.project(POINTS)[0].astype(np.float32), np.zeros((60, 1), np.float32)) for c in near
    ]
    assert len(triangulate(near, features, {(0, 1): all_matches()[0, 1]}, 2.0, 1.0)) == 0
    assert len(triangulate(near, features, {}, 2.0, 1.0)) == 0


def test_confidence_is_the_error_that_noise_makes() -> None:
    """C - 1 is (0.01 / s)^2: the spread of the points over many draws of the noise must be that s."""
    depths, predicted = [], []
    for seed in range(30):
        features = seen(0.7, seed)
        found = triangulate(CAMERAS, features, all_matches(), 4.0, 1.0)
        confidence = observation_confidence(found, CAMERAS, features)
        order = in_order(found)
        error = np.full(60, np.nan)
        error[order] = (found.points[:, 2] - POINTS[order, 2]) / POINTS[order, 2]
        depths.append(error)
        rows = found.observations[:, 1] == 1
        predicted.append(np.median(0.01 / np.sqrt(confidence[rows] - 1)))
    measured = np.median(np.nanstd(np.array(depths), axis=0))
    assert np.mean(predicted) == pytest.approx(measured, rel=0.35)


def test_more_views_and_wider_angles_are_surer() -> None:
    features = seen(0.2)
    three = triangulate(CAMERAS, features, all_matches(), 2.0, 1.0)
    narrow = triangulate(CAMERAS[1:], features[1:], {(0, 1): all_matches()[0, 1]}, 2.0, 1.0)
    sure = observation_confidence(three, CAMERAS, features)
    less = observation_confidence(narrow, CAMERAS[1:], features[1:])
    assert np.median(sure) > 1.5 * np.median(less)
    assert (less >= 1).all()
