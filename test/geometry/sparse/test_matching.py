from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.camera import Camera
from reconx_ros.geometry.sparse import matching
from reconx_ros.geometry.sparse.features import Features, extract_features
from reconx_ros.geometry.sparse.matching import epipolar_distance, fundamental_matrix, match


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def reference(first: Features, second: Features, ratio: float) -> list[tuple[int, int]]:
    """Mutual nearest neighbours with Lowe's test, one by one."""
    distance = np.linalg.norm(
        first.descriptors[:, None].astype(float) - second.descriptors[None].astype(float), axis=2
    )
    found = []
    for i, row in enumerate(distance):
        j = int(row.argmin())
        others = [d for k, d in enumerate(row) if k != j]
        if distance[:, j].argmin() == i and row[j] <= 0.7 and all(row[j] < ratio * d for d in others):
            found.append((i, j))
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 40), m=st.integers(1, 40))
def test_matching_is_mutual_nearest_with_the_ratio_test(seed: int, n: int, m: int) -> None:
    random = np.random.default_rng(seed)
    base = random.random((40, 8))
    first = Features(random.uniform(0, 99, (n, 2)).astype(np.float32), unit(base[:n] + 1e-3))
    noisy = random.permutation(base)[:m] + random.uniform(0, 0.1, (m, 8)) + 1e-3
    second = Features(np.stack([np.arange(m), np.arange(m)], 1).astype(np.float32) * 7, unit(noisy))
    assert [tuple(row) for row in match(first, second, 0.8)] == reference(first, second, 0.8)


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    descriptors = unit(random.random((50, 16)) ** 4)
    first = Features(random.uniform(0, 99, (50, 2)).astype(np.float32), descriptors)
    second = Features(first.pixels[::-1].copy(), descriptors[::-1].copy())
    whole = match(first, second, 0.9)
    assert len(whole) > 30
    monkeypatch.setattr(matching, "BLOCK", 7)
    np.testing.assert_array_equal(match(first, second, 0.9), whole)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_fundamental_matrix_joins_the_pixels_of_a_point(seed: int) -> None:
    random = np.random.default_rng(seed)
    cameras = []
    for _ in range(2):
        rotation, _ = np.linalg.qr(np.eye(3) + 0.2 * random.normal(size=(3, 3)))
        pose = np.eye(4)
        pose[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
        pose[:3, 3] = random.normal(size=3)
        matrix = np.array([[300.0, 0, 160], [0, 310, 119], [0, 0, 1]])
        cameras.append(Camera(matrix, pose, 320, 240))
    points = cameras[0].centre + random.normal(size=(20, 3)) * 5
    one, two = (np.c_[camera.project(points)[0], np.ones(20)] for camera in cameras)
    matrix = fundamental_matrix(cameras[0], cameras[1])
    lines = one @ matrix.T
    distance = (lines * two).sum(axis=1) / np.linalg.norm(lines[:, :2], axis=1)
    assert np.abs(distance / np.abs(two).max(axis=1)).max() < 1e-9


def test_the_distance_from_the_line_is_the_pixels_a_feature_is_off(
    make_camera: Callable[..., Camera],
) -> None:
    """Sideways motion: the lines are rows, so a feature that is 3 rows off is 3 pixels off."""
    pose = np.eye(4)
    pose[0, 3] = 0.2
    cameras = make_camera(), make_camera(pose)
    points = np.random.default_rng(0).uniform([-0.5, -0.5, 2], [0.5, 0.5, 4], (10, 3))
    one, two = (camera.project(points)[0] for camera in cameras)
    two[:, 1] += np.arange(10)
    two[:, 0] += 5  # along the line: another depth
    blank = np.zeros((10, 1), np.float32)
    views = Features(one.astype(np.float32), blank), Features(two.astype(np.float32), blank)
    rows = np.stack([np.arange(10), np.arange(10)], axis=1)
    np.testing.assert_allclose(epipolar_distance(rows, views, cameras), np.arange(10), atol=1e-4)
    assert len(epipolar_distance(rows[:0], views, cameras)) == 0


def test_features_lie_where_the_spots_are_and_are_the_same_in_every_run() -> None:
    image = np.full((120, 160, 3), 60, np.uint8)
    rows, columns = np.mgrid[:120, :160]
    centres = np.array([[40.3, 30.2], [110.6, 80.9], [70.0, 90.5]])
    spots = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18) * 180 for x, y in centres)
    image = np.clip(image + np.asarray(spots)[..., None], 0, 255).astype(np.uint8)
    found = extract_features(image, 100, 0.01)
    distance = np.linalg.norm(found.pixels[:, None] - centres, axis=2).min(axis=0)
    assert distance.max() < 0.06, distance
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)
    again = extract_features(image, 100, 0.01)
    np.testing.assert_array_equal(again.pixels, found.pixels)
    assert len(extract_features(image, 2, 0.01)) == 2


def test_a_blank_image_has_no_features_and_matches_nothing() -> None:
    blank = extract_features(np.full((60, 80, 3), 127, np.uint8), 100, 0.004)
    assert len(blank) == 0
    assert match(blank, blank, 0.8).shape == (0, 2)
