from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.splatting import model
from reconx_ros.splatting.config import LimitsConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.prune import Pruned, degenerate, floaters, relative_depth

INTRINSICS = np.array([[50.0, 0, 20], [0, 50.0, 15], [0, 0, 1]])


def camera(x: float = 0.0) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = x
    return Camera(INTRINSICS, pose, 41, 31)


def balls(means: list[list[float]], provenance: int = OBSERVED) -> GaussianMap:
    count = len(means)
    return GaussianMap(
        means=np.array(means, np.float32),
        log_scales=np.full((count, 3), np.log(0.01), np.float32),
        quaternions_wxyz=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        opacity_logits=np.full(count, 2, np.float32),
        sh=np.zeros((count, 1, 3), np.float32),
        confidence=np.ones(count, np.float32),
        provenance=np.full(count, provenance, np.uint8),
    )


def wall(depth: float = 2.0) -> np.ndarray:
    return np.full((31, 41), depth, np.float32)


def test_a_floater_needs_two_views_against_it_and_a_generated_one_only_one() -> None:
    floating, on_wall, behind = [0.0, 0, 1.0], [0.1, 0, 2.05], [0.0, 0.1, 2.6]
    one, two = [(camera(), wall())], [(camera(), wall()), (camera(0.1), wall())]
    for provenance, views, gone in ((OBSERVED, one, False), (OBSERVED, two, True), (GENERATED, one, True)):
        mask = floaters(balls([floating, on_wall, behind], provenance), views)
        assert mask.tolist() == [gone, False, False]


def test_a_gaussian_that_as_many_views_support_stays() -> None:
    views = [(camera(), wall(2)), (camera(0.1), wall(2)), (camera(0.2), wall(1)), (camera(0.3), wall(1))]
    assert not floaters(balls([[0.0, 0, 1.0]], GENERATED), views).any()


def test_unknown_depth_and_what_is_out_of_view_say_nothing() -> None:
    views = [(camera(), np.full((31, 41), np.nan, np.float32)), (camera(0.1), wall())]
    out_of_view = [[5.0, 0, 1.0], [0, 0, -1.0], [0, 0, 0.0]]
    assert not floaters(balls(out_of_view, GENERATED), views).any()
    assert not floaters(balls([[0.0, 0, 1.0]], GENERATED), views[:1]).any()


def test_needles_and_transparent_ones_are_counted_apart() -> None:
    limits = LimitsConfig(max_anisotropy=10, max_needle=0.02)
    gaussians = balls([[0, 0, 2.0]] * 4)
    gaussians.log_scales[0] = np.log([0.1, 0.01, 0.005])  # at the limit and long
    gaussians.log_scales[1] = np.log([0.01, 0.001, 0.001])  # at the limit, short
    gaussians.log_scales[2] = np.log([0.1, 0.05, 0.001])  # a flat disc
    gaussians.opacity_logits[3] = -8
    gone, counts = degenerate(gaussians, [], limits, extent=1.0)
    assert gone.tolist() == [True, False, False, True]
    assert counts == Pruned(transparent=1, needles=1, floaters=0)
    assert counts + counts == Pruned(2, 2, 0)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_every_count_is_of_gaussians_marked_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaussians = replace(
        balls(rng.uniform(-2, 3, (60, 3)).tolist(), int(rng.integers(2))),
        opacity_logits=rng.normal(-3, 4, 60).astype(np.float32),
        log_scales=rng.uniform(-6, 0, (60, 3)).astype(np.float32),
    )
    gone, counts = degenerate(gaussians, [(camera(), wall())], LimitsConfig(max_anisotropy=2), 1.0)
    assert gone.sum() == counts.transparent + counts.needles + counts.floaters


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000))
def test_relative_depth_is_that_of_the_pixel_a_point_projects_to(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    pose[:3, 3] = rng.normal(size=3)
    view = Camera(INTRINSICS, pose, 41, 31)
    means = rng.normal(0, 2, (800, 3)).astype(np.float32)
    means[:3] = [[np.nan, 0, 0], [0, np.inf, 0], [1e30, 0, 1]]
    depth = rng.uniform(0.5, 4, (31, 41)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    with np.errstate(invalid="ignore"):
        pixels, away = view.project(means.astype(np.float64))
    expected = np.full(800, np.nan)
    for row, ((u, v), z) in enumerate(zip(pixels, away, strict=True)):
        if z > model.NEAR and -0.5 <= u < 40.5 and -0.5 <= v < 30.5:
            expected[row] = z / depth[round(v), round(u)]
    assume(np.isfinite(expected).any())  # some views look away from all points
    np.testing.assert_allclose(relative_depth(means, view, depth), expected, rtol=1e-6)
