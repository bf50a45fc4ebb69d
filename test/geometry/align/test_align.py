"""From perturbed odometry back to the truth, in a simulated room whose pointmaps are known exactly."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from evo.core.metrics import APE, PoseRelation
from evo.core.trajectory import PosePath3D
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.align import Alignment, align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.align.state import LEAST_NOISE
from reconx_ros.keyframes.keyframe import Keyframe

Predict = Callable[..., list[PairPointMaps]]
Perturb = Callable[..., list[Keyframe]]
Ends = list[tuple[int, int]]


def trajectory(cameras: Sequence[Camera]) -> PosePath3D:
    return PosePath3D(poses_se3=[camera.world_from_camera for camera in cameras])


def pose_errors(
    cameras: Sequence[Camera], truth: Sequence[Keyframe], scaled: bool = False, aligned: bool = True
) -> tuple[float, float]:
    """Return the RMSE of positions (metres) and rotations (degrees) after alignment as a whole."""
    exact, found = trajectory([k.camera for k in truth]), trajectory(cameras)
    if aligned:
        found.align(exact, correct_scale=scaled)
    errors = []
    for relation in (PoseRelation.translation_part, PoseRelation.rotation_angle_deg):
        metric = APE(relation)
        metric.process_data((exact, found))
        errors.append(float(metric.get_all_statistics()["rmse"]))
    return errors[0], errors[1]


def run(pairs: Sequence[PairPointMaps], keyframes: Sequence[Keyframe], **settings: object) -> Alignment:
    config = AlignmentConfig(**{"samples": 300, **settings})
    return align(pairs, [k.camera for k in keyframes], priors_of(keyframes, config), config)


def test_exact_pairs_without_any_pose_give_the_truth_up_to_a_similarity(
    walk: Sequence[Keyframe], predicted: Predict, neighbours: Ends
) -> None:
    found = run(predicted(walk, neighbours), [replace(k, posed=False) for k in walk])
    position, rotation = pose_errors(found.cameras, walk, scaled=True)
    assert position < 1e-4
    assert rotation < 0.01
    assert found.aligned.all()
    assert not found.metric
    assert found.noise == LEAST_NOISE


@pytest.mark.parametrize(("metres", "degrees"), [(0.02, 1.0), (0.10, 5.0)])
def test_perturbed_odometry_returns_to_the_truth(
    walk: Sequence[Keyframe],
    predicted: Predict,
    perturbed: Perturb,
    neighbours: Ends,
    flaws: Callable[..., object],
    metres: float,
    degrees: float,
) -> None:
    """The shape is the pairs'; the frame and the scale can be no better than the poses' mean."""
    rough = perturbed(walk, metres, degrees)
    pairs = predicted(walk, neighbours, flaws(noise=0.01))
    found = run(pairs, rough, position_deviation=metres, rotation_deviation=degrees)
    assert found.metric
    before = pose_errors([k.camera for k in rough], walk)
    shape = pose_errors(found.cameras, walk, scaled=True)
    assert shape[0] < 0.007
    assert shape[1] < 0.5
    assert before[0] > 0.7 * metres
    as_is = pose_errors(found.cameras, walk, aligned=False)
    spread = np.std([k.camera.centre for k in walk], axis=0)
    expected = metres * np.sqrt(3 / 10) + 3 * metres * np.sqrt(1 / 10)  # mean shift, and 3 sigma of scale
    assert as_is[0] < 2 * expected * max(1.0, float(np.linalg.norm(spread)))
    # The covariances say so themselves: squared errors are on average what they predict, within chi-square.
    error = np.stack([c.centre - k.camera.centre for c, k in zip(found.cameras, walk, strict=True)])
    cov = found.covariance[:, :3, :3]
    distance = np.einsum("ni,nij,nj->n", error, np.linalg.inv(cov), error)
    assert 0.05 < distance.mean() / 3 < 4


def test_metric_pairs_fix_the_scale(
    walk: Sequence[Keyframe],
    predicted: Predict,
    perturbed: Perturb,
    neighbours: Ends,
    flaws: Callable[..., object],
) -> None:
    pairs = [replace(p, metric=True) for p in predicted(walk, neighbours, flaws(noise=0.01, scales=0.0))]
    rough = perturbed(walk, 0.1, 5.0)
    found = run(pairs, rough, position_deviation=0.1, rotation_deviation=5.0)
    position, rotation = pose_errors(found.cameras, walk)
    assert position < 0.004
    assert rotation < 0.15
    assert (found.scales == 1).all()
    alone = run(pairs, [replace(k, posed=False) for k in walk])
    assert alone.metric
    assert pose_errors(alone.cameras, walk)[0] < 0.004


def test_outliers_and_wrong_pairs_are_seen_through(
    walk: Sequence[Keyframe],
    predicted: Predict,
    perturbed: Perturb,
    neighbours: Ends,
    flaws: Callable[..., object],
) -> None:
    pairs = predicted(walk, neighbours, flaws(noise=0.01, outliers=0.2, wrong_pairs=4), 5)
    found = run(pairs, perturbed(walk, 0.02, 1.0))
    assert pose_errors(found.cameras, walk, scaled=True)[0] < 0.012
    random = np.random.default_rng(5)
    wrong = random.choice(len(neighbours), 4, replace=False)
    assert found.trust[wrong].max() < 0.1
    assert np.delete(found.trust, wrong).min() > 0.8


def test_with_all_poses_held_only_scales_remain(
    walk: Sequence[Keyframe], predicted: Predict, neighbours: Ends, flaws: Callable[..., object]
) -> None:
    pairs = predicted(walk, neighbours, flaws(noise=0.01))
    found = run(pairs, walk, poses="hard")
    for camera, keyframe in zip(found.cameras, walk, strict=True):
        assert np.array_equal(camera.world_from_camera, keyframe.camera.world_from_camera)
    assert np.isnan(found.covariance).all()
    for pair, scale in zip(pairs, found.scales, strict=True):
        depth = walk[pair.first].depth
        assert depth is not None
        assert scale == pytest.approx(np.median(depth / pair.points[0][..., 2]), rel=0.01)


def test_views_without_pose_join_those_with(
    walk: Sequence[Keyframe], predicted: Predict, neighbours: Ends, flaws: Callable[..., object]
) -> None:
    views = [k if n in (0, 4, 9) else replace(k, posed=False) for n, k in enumerate(walk)]
    unknown = [k if k.posed else replace(k, camera=k.camera.moved(np.eye(4))) for k in views]
    found = run(predicted(walk, neighbours, flaws(noise=0.005)), unknown, position_deviation=0.005)
    assert pose_errors(found.cameras, walk, aligned=False)[0] < 0.02
    assert found.metric


def test_a_second_view_without_reverse_pair_is_placed_by_its_rays(
    walk: Sequence[Keyframe], predicted: Predict
) -> None:
    chain = [(n, n + 1) for n in range(4)]
    found = run(predicted(walk[:5], chain), [replace(k, posed=False) for k in walk[:5]])
    assert pose_errors(found.cameras, walk[:5], scaled=True)[0] < 1e-3


def test_a_wrong_focal_length_is_corrected_where_it_may(
    walk: Sequence[Keyframe], predicted: Predict, neighbours: Ends
) -> None:
    def zoomed(keyframe: Keyframe) -> Keyframe:
        intrinsics = keyframe.camera.intrinsics.copy()
        intrinsics[[0, 1], [0, 1]] *= 1.05
        return replace(keyframe, camera=replace(keyframe.camera, intrinsics=intrinsics))

    found = run(predicted(walk, neighbours), [zoomed(k) for k in walk], focal_deviation=0.2)
    for camera, keyframe in zip(found.cameras, walk, strict=True):
        assert camera.intrinsics[0, 0] == pytest.approx(keyframe.camera.intrinsics[0, 0], rel=2e-3)
    kept = run(predicted(walk, neighbours), [zoomed(k) for k in walk])
    assert kept.cameras[0].intrinsics[0, 0] == pytest.approx(1.05 * walk[0].camera.intrinsics[0, 0])


def test_mixed_image_sizes(walk: Sequence[Keyframe], predicted: Predict, neighbours: Ends) -> None:
    pairs = []
    for pair in predicted(walk, neighbours):
        points, confidence = list(pair.points), list(pair.confidence)
        for side, view in enumerate(pair.views):
            if view == 3:
                points[side], confidence[side] = points[side][:40], confidence[side][:40]
        pairs.append(replace(pair, points=tuple(points), confidence=tuple(confidence)))
    cut = [replace(k, camera=replace(k.camera, height=40)) if n == 3 else k for n, k in enumerate(walk)]
    found = run(pairs, [replace(k, posed=False) for k in cut])
    assert pose_errors(found.cameras, walk, scaled=True)[0] < 1e-3


def test_the_search_ends_at_a_minimum(
    walk: Sequence[Keyframe], predicted: Predict, perturbed: Perturb, flaws: Callable[..., object]
) -> None:
    from reconx_ros.geometry.align.normal_equations import Columns
    from reconx_ros.geometry.align.observations import observe
    from reconx_ros.geometry.align.search import moved, objective, search
    from reconx_ros.geometry.align.state import State

    ends = [(0, 1), (1, 0), (1, 2), (2, 1)]
    config = AlignmentConfig(samples=200, max_iterations=100)
    rough = perturbed(walk[:3], 0.02, 1.0)
    seen = observe(
        predicted(walk[:3], ends, flaws(noise=0.02, outliers=0.1)), [k.camera for k in rough], 200
    )
    poses = torch.from_numpy(np.stack([k.camera.world_from_camera for k in rough]))
    start = State(poses, torch.zeros(3, dtype=torch.float64), torch.zeros(4, dtype=torch.float64))
    columns = Columns.number(torch.ones(3).bool(), torch.zeros(3).bool(), torch.ones(4).bool())
    priors = priors_of(rough, config)
    found = search(seen, start, priors, columns, config)
    least = objective(seen, found.fit.state, priors, columns, found.noise, 20.0)[1]
    generator = torch.Generator().manual_seed(0)
    for size in (3e-3, 1e-2):
        for _ in range(20):
            step = size * torch.randn(columns.count, dtype=torch.float64, generator=generator)
            other = moved(found.fit.state, step, columns)
            assert objective(seen, other, priors, columns, found.noise, 20.0)[1] > least


def test_groups_without_a_link_are_placed_by_their_poses_or_left_out(
    walk: Sequence[Keyframe], predicted: Predict
) -> None:
    ends = [(0, 1), (1, 0), (1, 2), (2, 1), (6, 7), (7, 6)]
    pairs = predicted(walk, ends)
    found = run(pairs, walk)
    assert found.aligned.tolist() == [n in (0, 1, 2, 6, 7) for n in range(10)]
    assert pose_errors(found.cameras, walk, aligned=False)[0] < 0.01
    free = run(pairs, walk, poses="free")
    assert free.aligned.tolist() == [n in (0, 1, 2) for n in range(10)]
    assert np.isnan(free.scales[4:]).all()


def test_cameras_at_one_place_cannot_tell_the_scale(walk: Sequence[Keyframe], predicted: Predict) -> None:
    turned = [walk[0]]
    for degrees in (10, 20):
        pose = walk[0].camera.world_from_camera.copy()
        angle = np.deg2rad(degrees)
        turn = np.eye(3)
        turn[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
        pose[:3, :3] = pose[:3, :3] @ turn
        turned.append(replace(walk[0], camera=walk[0].camera.moved(pose)))
    ends = [(0, 1), (1, 0), (1, 2), (2, 1)]
    with pytest.raises(GeometryError, match=r"3 keyframes stand within .*scale of the map cannot be told"):
        run(predicted(turned, ends), turned)
    twice = [walk[0], walk[0]]  # the same view again
    with pytest.raises(GeometryError, match="2 keyframes stand within 0 of each other"):
        run(predicted(twice, [(0, 1), (1, 0)]), twice, poses="hard")
    metric = [replace(p, metric=True) for p in predicted(twice, [(0, 1), (1, 0)])]
    scaled = [replace(p, points=tuple(x / p.points[0][0, 0, 2] for x in p.points)) for p in metric]
    assert run(scaled, twice).aligned.all()


def test_pairs_that_do_not_fit_are_named(walk: Sequence[Keyframe], predicted: Predict) -> None:
    pair = predicted(walk, [(0, 1)])[0]
    blank = tuple(np.full_like(p, np.nan) for p in pair.points)
    none = tuple(np.ones_like(c) for c in pair.confidence)
    cases = [
        ([], "no pair of views"),
        ([replace(pair, second=0)], r"pair \(0, 0\): two different views of 0 to 9"),
        ([replace(pair, second=12)], r"pair \(0, 12\)"),
        ([replace(pair, points=(pair.points[0], pair.points[1][1:]))], r"must be of the size of view 1"),
        ([replace(pair, points=blank, confidence=none)], "none of 1 pairs"),
    ]
    for pairs, message in cases:
        with pytest.raises(GeometryError, match=message):
            run(pairs, [replace(k, posed=False) for k in walk])


def test_covariances_are_honest(
    walk: Sequence[Keyframe],
    predicted: Predict,
    perturbed: Perturb,
    neighbours: Ends,
    flaws: Callable[..., object],
) -> None:
    """The normalised estimation error squared is about chi-square, 6, over draws of odometry and noise."""
    values = []
    for seed in range(5):
        pairs = predicted(walk, neighbours, flaws(noise=0.02), seed)
        found = run(pairs, perturbed(walk, 0.02, 1.0, seed + 100))
        for camera, keyframe, own in zip(found.cameras, walk, found.covariance, strict=True):
            turn = camera.world_from_camera[:3, :3] @ keyframe.camera.world_from_camera[:3, :3].T
            error = np.r_[camera.centre - keyframe.camera.centre, Rotation.from_matrix(turn).as_rotvec()]
            values.append(float(error @ np.linalg.solve(own, error)))
    assert 0.35 < np.mean(values) / 6 < 1.6  # the views of a draw share their error
    assert np.mean(np.array(values) < 12.59) > 0.85
