from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from reconx_ros.geometry.align.align import Alignment, align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.depth import agreed_depth
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.pointmaps import make_pointmaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.keyframes.keyframe import Keyframe

Predict = Callable[..., list[PairPointMaps]]


def aligned(pairs: Sequence[PairPointMaps], walk: Sequence[Keyframe]) -> Alignment:
    config = AlignmentConfig(poses="hard", samples=200)
    return align(pairs, [k.camera for k in walk], priors_of(walk, config), config)


def test_exact_pairs_give_the_depth_itself(
    walk: Sequence[Keyframe], predicted: Predict, neighbours: list[tuple[int, int]]
) -> None:
    pairs = predicted(walk, neighbours)
    alignment = aligned(pairs, walk)
    for view in (0, 5):
        agreed = agreed_depth(view, pairs, alignment)
        assert np.allclose(agreed.depth, walk[view].depth, rtol=2e-3)
        assert np.median(agreed.deviation) < 1e-3
        assert np.allclose(agreed.confidence, 5)


def test_the_deviation_is_what_the_pairs_show_of_each_other(
    walk: Sequence[Keyframe],
    predicted: Predict,
    flaws: Callable[..., object],
    neighbours: list[tuple[int, int]],
) -> None:
    pairs = predicted(walk, neighbours, flaws(noise=0.02))
    agreed = agreed_depth(5, pairs, aligned(pairs, walk))
    assert walk[5].depth is not None
    error = np.abs(agreed.depth / walk[5].depth - 1)
    assert np.median(error) < 0.01  # eight opinions of 2%
    assert np.median(agreed.deviation) == pytest.approx(0.02, rel=0.35)


def test_outliers_of_single_pairs_are_outvoted(
    walk: Sequence[Keyframe],
    predicted: Predict,
    flaws: Callable[..., object],
    neighbours: list[tuple[int, int]],
) -> None:
    pairs = predicted(walk, neighbours, flaws(noise=0.005, outliers=0.15))
    agreed = agreed_depth(5, pairs, aligned(pairs, walk))
    assert walk[5].depth is not None
    error = np.abs(agreed.depth / walk[5].depth - 1)
    assert np.median(error) < 0.005
    assert (error > 0.05).mean() < 0.03


def test_pointmaps_lie_on_the_surfaces_and_doubt_what_views_contradict(
    walk: Sequence[Keyframe],
    predicted: Predict,
    flaws: Callable[..., object],
    neighbours: list[tuple[int, int]],
) -> None:
    pairs = predicted(walk, neighbours, flaws(noise=0.005))
    ghost = []  # in every pair view 5 sees a block at half the distance, confidently
    for pair in pairs:
        points = [p.copy() for p in pair.points]
        if 5 in pair.views:
            patch = points[pair.views.index(5)][20:45, 30:60]
            relative = walk[pair.first].camera.camera_from_world @ walk[5].camera.world_from_camera
            scale = np.median(pair.points[0][..., 2] / walk[pair.first].depth)
            centre = scale * relative[:3, 3]
            patch[:] = (0.5 * (patch - centre) + centre).astype(np.float32)
        ghost.append(replace(pair, points=(points[0], points[1])))
    alignment = aligned(ghost, walk)
    made = make_pointmaps([5], ghost, alignment, 0.05)[0]
    truth = walk[5].camera.unproject(walk[5].depth)
    error = np.linalg.norm(made.points - truth, axis=2) / walk[5].depth
    clean = np.ones(error.shape, bool)
    clean[15:50, 25:65] = False
    assert np.nanmedian(error[clean]) < 0.01
    assert made.known[clean].mean() > 0.8
    inside = made.confidence[25:40, 35:55]
    assert np.median(made.confidence[clean]) > 2.0
    assert np.median(inside) < 1.3
    assert (made.confidence[~made.known] == 1).all()
    assert np.allclose(
        np.linalg.norm(made.normals[made.known & np.isfinite(made.normals[..., 0])], axis=1), 1, atol=1e-4
    )


def test_views_without_pair_are_unknown(walk: Sequence[Keyframe], predicted: Predict) -> None:
    pairs = predicted(walk, [(0, 1), (1, 0)])
    made = make_pointmaps([0, 7], pairs, aligned(pairs, walk), 0.05)
    assert made[0].known.any()
    assert not made[1].known.any()
    assert np.isnan(agreed_depth(7, pairs, aligned(pairs, walk)).depth).all()
