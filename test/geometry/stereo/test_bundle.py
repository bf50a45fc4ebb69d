"""Poses from matches: exact matches of rough cameras lead back to the truth."""

from dataclasses import replace

import cv2
import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.geometry.stereo.bundle import Bundle, PosePrior
from reconx_ros.geometry.stereo.reprojection import Star
from test.geometry.stereo.conftest import look_from


def stars_of(cameras: list[Camera], points: np.ndarray, wrong: float) -> list[Star]:
    """Every view sees all points in all others; a share of the matches is wrong."""
    rng = np.random.default_rng(0)
    stars = []
    for i, camera in enumerate(cameras):
        others = tuple(j for j in range(len(cameras)) if j != i)
        matches = np.stack([cameras[j].project(points)[0] for j in others], axis=1)
        lost = rng.random(matches.shape[:2]) < wrong
        matches[lost] += rng.normal(0, 40, (int(lost.sum()), 2))
        matches[rng.random(matches.shape[:2]) < 0.2] = np.nan
        stars.append(Star(i, others, camera.project(points)[0], matches))
    return stars


def errors(cameras: list[Camera], truth: list[Camera]) -> np.ndarray:
    """Distances between neighbouring camera centres relative to the true ones, minus 1, and rotations."""
    rows = []
    for i in range(len(truth) - 1):
        ours, real = (
            np.linalg.inv(c[i].world_from_camera) @ c[i + 1].world_from_camera for c in (cameras, truth)
        )
        turn = cv2.Rodrigues(ours[:3, :3] @ real[:3, :3].T)[0]
        rows.append([np.linalg.norm(ours[:3, 3] - real[:3, 3]), np.linalg.norm(turn)])
    return np.array(rows)


def test_rough_poses_come_back_in_spite_of_wrong_matches() -> None:
    rng = np.random.default_rng(2)
    truth = [look_from((0.3 * np.cos(i), 0.3 * np.sin(i), 0.1 * i), turn=0.05 * i) for i in range(5)]
    points = rng.uniform([-1, -1, 2], [1, 1, 4], (150, 3))
    rough = []
    for camera in truth:
        pose = camera.world_from_camera.copy()
        pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(rng.normal(0, np.deg2rad(0.3), 3))[0]
        pose[:3, 3] += rng.normal(0, 0.02, 3)
        rough.append(replace(camera, world_from_camera=pose))
    prior = PosePrior(np.deg2rad(0.3), 0.02)
    moved = Bundle(rough, stars_of(truth, points, wrong=0.1), range(5), prior).adjust()
    before, after = errors(rough, truth), errors(moved, truth)
    assert after[:, 0].mean() < 0.25 * before[:, 0].mean()
    assert after[:, 1].mean() < 0.1 * before[:, 1].mean()


def test_views_that_are_not_free_stay_and_exact_ones_hardly_move() -> None:
    truth = [look_from((0.2 * i, 0.1 * (i % 2), 0)) for i in range(4)]
    points = np.random.default_rng(3).uniform([-1, -1, 2], [1, 1, 4], (100, 3))
    moved = Bundle(truth, stars_of(truth, points, wrong=0), [3], PosePrior(0.01, 0.02)).adjust()
    assert all(a is b for a, b in zip(moved[:3], truth[:3], strict=True))
    np.testing.assert_allclose(moved[3].world_from_camera, truth[3].world_from_camera, atol=1e-6)


def test_without_matches_nothing_happens() -> None:
    cameras = [look_from((0, 0, 0)), look_from((1, 0, 0))]
    empty = Star(0, (1,), np.empty((0, 2)), np.empty((0, 1, 2)))
    assert Bundle(cameras, [empty], [0, 1], PosePrior(0.01, 0.01)).fit_focal({0: 0, 1: 0}) == {}
