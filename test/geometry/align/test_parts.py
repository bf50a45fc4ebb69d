"""Procrustes, focal length, rotations, priors: each against an analytic case."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.align import mean_rotation
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.focal import estimate_focal
from reconx_ros.geometry.align.normal_equations import Columns
from reconx_ros.geometry.align.observations import observe
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.priors import pose_error, prior_terms, priors_of
from reconx_ros.geometry.align.rotations import inverses, moved
from reconx_ros.geometry.align.similarity import (
    Similarity,
    fit_robustly,
    fit_similarity,
    pose_of,
    weighted_median,
)
from reconx_ros.geometry.align.state import State
from reconx_ros.keyframes.keyframe import Keyframe


def some_similarity(random: np.random.Generator) -> Similarity:
    return Similarity(
        float(np.exp(random.normal())),
        Rotation.random(random_state=random).as_matrix(),
        random.normal(size=3),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 30))
def test_an_exact_similarity_is_found_whatever_the_weights(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    truth, source = some_similarity(random), random.normal(size=(count, 3))
    found = fit_similarity(source, truth.apply(source), random.uniform(0.1, 1, count))
    assert found.scale == pytest.approx(truth.scale, rel=1e-6)
    assert np.allclose(found.rotation, truth.rotation, atol=1e-6)
    assert np.allclose(found.translation, truth.translation, atol=1e-5)
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_weights_decide_and_a_third_of_outliers_does_not() -> None:
    random = np.random.default_rng(0)
    truth, source = some_similarity(random), random.normal(size=(300, 3))
    target = truth.apply(source)
    target[200:] = random.normal(size=(100, 3)) * 5
    weight = np.ones(300)
    weight[200:] = 0
    assert fit_similarity(source, target, weight).scale == pytest.approx(truth.scale)
    plain, robust = (fit(source, target, np.ones(300)) for fit in (fit_similarity, fit_robustly))
    error = [np.linalg.norm(f.apply(source[:200]) - target[:200], axis=1).max() for f in (plain, robust)]
    assert error[1] < 1e-6
    assert error[0] > 0.1
    assert fit_robustly(source, target, weight, with_scale=False).scale == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 5)), min_size=1, max_size=20))
def test_the_weighted_median_is_the_median_of_repeated_values(pairs: list[tuple[float, int]]) -> None:
    values, weight = (np.array(part, dtype=float) for part in zip(*pairs, strict=True))
    repeated = np.repeat(values, weight.astype(int))
    assert weighted_median(values, weight) == np.sort(repeated)[(len(repeated) - 1) // 2]


def test_the_focal_length_of_a_pointmap_with_outliers() -> None:
    random = np.random.default_rng(0)
    points = random.uniform([-1, -1, 1], [1, 1, 3], (400, 3))
    pixels = 310.0 * points[:, :2] / points[:, 2:] + [160, 120]
    weight = np.ones(400)
    assert estimate_focal(points, pixels, weight, np.array([160, 120])) == pytest.approx(310)
    pixels[:80] = random.uniform(0, 300, (80, 2))
    assert estimate_focal(points, pixels, weight, np.array([160, 120])) == pytest.approx(310, rel=0.005)
    assert np.isnan(estimate_focal(points, pixels, 0 * weight, np.zeros(2)))


def test_poses_move_on_their_right_and_invert() -> None:
    random = np.random.default_rng(0)
    poses = np.stack([pose_of(Rotation.random(random_state=random).as_matrix(), random.normal(size=3))] * 2)
    steps = np.array([[0.1, -0.2, 0.3, 0.2, 0.1, -0.4], np.zeros(6)])
    after = moved(poses, steps)
    step = pose_of(Rotation.from_rotvec(steps[0, 3:]).as_matrix(), steps[0, :3])
    assert np.allclose(after[0], poses[0] @ step)
    assert np.allclose(after[1], poses[1])
    assert np.allclose(inverses(after) @ after, np.eye(4))


def test_the_pose_errors_derivative_equals_differences() -> None:
    random = np.random.default_rng(1)
    believed = pose_of(Rotation.random(random_state=random).as_matrix(), random.normal(size=3))
    pose = moved(believed[None], 1e-4 * random.normal(size=(1, 6)))[0]
    _, slope = pose_error(believed, pose)
    for column in range(6):
        step = np.zeros((1, 6))
        step[0, column] = 1e-5
        ahead, behind = (pose_error(believed, moved(pose[None], s * step)[0])[0] for s in (1, -1))
        assert np.allclose((ahead - behind) / 2e-5, slope[:, column], atol=1e-3)


def test_prior_terms_are_the_mahalanobis_distance_and_its_gradient(walk: Sequence[Keyframe]) -> None:
    random = np.random.default_rng(0)
    root = random.normal(size=(6, 6)) * 0.05
    views = [replace(walk[0], pose_covariance=root @ root.T), replace(walk[1], posed=False)]
    priors = priors_of(views, AlignmentConfig(focal_deviation=0.1))
    columns = Columns.number(torch.tensor([True, True]), torch.ones(2).bool(), torch.zeros(0).bool())
    poses = np.stack([k.camera.world_from_camera for k in views])
    state = State(
        torch.from_numpy(poses), torch.zeros(2, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    )
    assert prior_terms(priors, state, columns).loss == 0
    step = 1e-3 * torch.randn(14, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    there = state.moved(step[:12].view(2, 6), step[12:], torch.zeros(0))
    terms = prior_terms(priors, there, columns)
    error, _ = pose_error(poses[0], there.poses[0].numpy())
    exact = 0.5 * error @ np.linalg.solve(priors.covariance[0], error)
    assert terms.loss == pytest.approx(exact + 0.5 * 100 * float((step[12:] ** 2).sum()))
    # The derivative is taken where the pose is now, a milliradian on.
    assert torch.allclose(terms.g, -terms.h @ step, atol=5e-3)
    assert (terms.g[6:12] == 0).all()  # nothing is known of the second pose


def test_an_absurd_pose_pulls_no_harder_than_an_outlier(walk: Sequence[Keyframe]) -> None:
    priors = priors_of(walk[:1], AlignmentConfig())
    columns = Columns.number(torch.ones(1).bool(), torch.zeros(1).bool(), torch.zeros(0).bool())
    pull = []
    for distance in (0.5, 5.0):
        pose = walk[0].camera.world_from_camera.copy()
        pose[:3, 3] += [distance, 0, 0]
        nothing = torch.zeros(1, dtype=torch.float64)
        terms = prior_terms(priors, State(torch.from_numpy(pose[None]), nothing, nothing[:0]), columns)
        pull.append(float(terms.g.norm()))
    assert pull[0] == pytest.approx(pull[1])


@pytest.mark.parametrize(
    "matrix",
    [np.full((6, 6), np.nan), -np.eye(6), np.eye(3), np.eye(6) + np.triu(np.ones((6, 6)), 1)],
)
def test_a_covariance_that_is_none_is_named(walk: Sequence[Keyframe], matrix: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="keyframe 000000: pose covariance of diagonal"):
        priors_of([replace(walk[0], pose_covariance=matrix)], AlignmentConfig())


def test_where_covariances_come_from(walk: Sequence[Keyframe]) -> None:
    planar = np.diag([1e-4, 1e-4, 0, 0, 0, 1e-4])
    views = [
        replace(walk[0], pose_covariance=planar),
        replace(walk[1], pose_covariance=np.zeros((6, 6))),
        replace(walk[2], posed=False),
    ]
    priors = priors_of(
        views, AlignmentConfig(position_deviation=0.1, rotation_deviation=2.0), 3.0, hold=[1]
    )
    assert priors.known.tolist() == [True, True, False]
    assert priors.hard.tolist() == [False, True, False]
    assert np.sqrt(np.diag(priors.covariance[0]))[[0, 2, 3]] == pytest.approx(
        [0.0104, 0.003, 0.000873], rel=1e-2
    )
    assert np.sqrt(np.diag(priors.covariance[1])) == pytest.approx([0.3] * 3 + [np.deg2rad(2)] * 3)
    assert priors.focal_deviation.tolist() == [0, 0, 0]
    lenses = [replace(walk[0], intrinsics=worth) for worth in ("calibrated", "prior", "guessed")]
    config = AlignmentConfig(focal_deviation=0.01, estimated_focal_deviation=0.1)
    assert priors_of(lenses, config).focal_deviation.tolist() == [0.01, 0.1, 0.1]
    assert priors_of(views, AlignmentConfig(poses="hard")).hard.tolist() == [True, True, False]
    assert not priors_of(views, AlignmentConfig(poses="free")).known.any()


def test_the_mean_rotation_follows_the_majority() -> None:
    truth = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)
    noise = Rotation.from_rotvec(0.01 * np.random.default_rng(0).normal(size=(9, 3)))
    many = (noise * truth).as_matrix()
    many[7:] = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    turn = Rotation.from_matrix(mean_rotation(many)) * truth.inv()
    assert np.rad2deg(turn.magnitude()) < 1.0


def test_observations_are_the_pixels_of_the_lattice(
    walk: Sequence[Keyframe], predicted: Callable[..., list[PairPointMaps]], flaws: Callable[..., object]
) -> None:
    pair = predicted(walk, [(0, 1)], flaws(scales=0.0))[0]
    small = replace(walk[1].camera.resized(48, 36))
    smaller = replace(
        pair,
        points=(pair.points[0], pair.points[1][::2, ::2].copy()),
        confidence=(pair.confidence[0], pair.confidence[1][::2, ::2].copy()),
    )
    smaller.points[0][:, :48] = np.nan
    seen = observe([smaller], [walk[0].camera, small], 100)
    assert seen.pixels.shape[0] == 2
    assert 80 <= seen.pixels.shape[1] <= 120
    assert (seen.weight[0][seen.pixels[0, :, 0] < 48] == 0).all()
    assert float(seen.weight[seen.weight > 0].mean()) == pytest.approx(1)
    used = seen.weight[0] > 0
    x, y = seen.pixels[0, used].long().T.numpy()
    assert walk[0].depth is not None
    assert np.allclose(seen.points[0, used, 2].numpy(), walk[0].depth[y, x], rtol=1e-5)
    assert np.allclose(
        (seen.rays[0, used] * seen.points[0, used, 2:]).numpy(), seen.points[0, used].numpy(), atol=1e-5
    )
