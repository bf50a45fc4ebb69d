from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.errors import SplattingError
from reconx_ros.geometry.protocol import GENERATED, PointCloud
from reconx_ros.splatting.config import InitialisationConfig, SplattingConfig
from reconx_ros.splatting.initialise import SH_C0, disc_quaternions, initialise, spacing
from reconx_ros.splatting.limits import limit_scales, scale_ceiling, scene_extent
from reconx_ros.splatting.thin import thin


def cloud(points: np.ndarray, normal: tuple[float, float, float] = (0, 0, 1)) -> PointCloud:
    count = len(points)
    rng = np.random.default_rng(0)
    return PointCloud(
        points.astype(np.float32),
        rng.integers(0, 256, (count, 3), dtype=np.uint8),
        np.tile(np.float32(normal), (count, 1)),
        rng.uniform(1, 20, count).astype(np.float32),
        np.full(count, GENERATED, np.uint8),
        np.ones(count, np.int32),
    )


def grid(side: int = 10, step: float = 0.1) -> np.ndarray:
    x, y = np.meshgrid(np.arange(side) * step, np.arange(side) * step)
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side)], axis=1)


def rotation(q: np.ndarray) -> np.ndarray:
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_gaussians_of_a_grid_have_its_spacing_colour_and_origin() -> None:
    initial = InitialisationConfig(scale=0.6, thickness=0.25, opacity=0.7)
    points = cloud(grid())
    result = initialise(points, SplattingConfig(initial=initial, sh_degree=2))
    scales = np.delete(np.exp(result.log_scales), [0, 9, 90, 99], axis=0)  # corners have 2 near neighbours
    np.testing.assert_allclose(scales, np.tile([0.06, 0.06, 0.015], (96, 1)), rtol=1e-4)
    np.testing.assert_allclose(1 / (1 + np.exp(-result.opacity_logits)), 0.7, rtol=1e-5)
    assert result.sh.shape == (100, 9, 3)
    np.testing.assert_allclose(0.5 + SH_C0 * result.sh[:, 0], points.colors / 255, atol=1e-6)
    assert (result.sh[:, 1:] == 0).all()
    np.testing.assert_allclose(result.confidence, 1 - 1 / points.confidence, rtol=1e-5)
    assert (result.provenance == GENERATED).all()


@settings(deadline=None)
@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda n: np.linalg.norm(n) > 1e-3))
def test_thin_axis_lies_along_the_normal(normal: tuple[float, float, float]) -> None:
    unit = np.array(normal) / np.linalg.norm(normal)
    quaternion = disc_quaternions(np.array([normal], np.float32))[0].astype(np.float64)
    assert np.linalg.norm(quaternion) == pytest.approx(1, abs=1e-5)
    assert abs(rotation(quaternion)[:, 2] @ unit) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("normal", [(np.nan, 0, 1), (0, 0, 0)])
def test_points_without_normal_become_balls(normal: tuple[float, float, float]) -> None:
    result = initialise(cloud(grid(4), normal), SplattingConfig())
    assert np.ptp(result.log_scales, axis=1).max() == 0
    np.testing.assert_array_equal(result.quaternions_wxyz, np.tile([1, 0, 0, 0], (16, 1)))


def test_outliers_and_twins_get_bounded_scales() -> None:
    points = np.concatenate([grid(), [[50.0, 0, 0]], grid(1).repeat(4, axis=0)])
    distances = spacing(points.astype(np.float32))
    assert distances[100] == pytest.approx(0.5, rel=1e-3)
    assert distances.min() == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_clouds(count: int) -> None:
    result = initialise(cloud(grid()[:count]), SplattingConfig())
    assert len(result) == count
    assert np.isfinite(result.log_scales).all()


def test_cap_covers_the_cloud_evenly_and_widens(caplog: pytest.LogCaptureFixture) -> None:
    points = cloud(grid(40, 0.05))
    result = initialise(points, SplattingConfig(), max_gaussians=400)
    assert 250 < len(result) <= 400
    assert "1600 points under the cap of 400" in caplog.text
    gaps = np.linalg.norm(points.points[:, None] - result.means[None], axis=2).min(axis=1)
    assert gaps.max() < 0.2
    full = initialise(points, SplattingConfig())
    assert np.exp(result.log_scales[:, 0]).mean() > 1.5 * np.exp(full.log_scales[:, 0]).mean()


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 200), st.integers(0, 5))
def test_thinning_is_capped_sorted_and_the_same_each_time(count: int, cap: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, confidence = (
        rng.normal(size=(count, 3)).astype(np.float32),
        rng.random(count).astype(np.float32),
    )
    rows, stands_for = thin(points, confidence, cap)
    assert 1 <= len(rows) <= cap
    assert (np.diff(rows) > 0).all()
    assert len(stands_for) == count
    np.testing.assert_array_equal(rows, thin(points, confidence, cap)[0])


@pytest.mark.parametrize("cap", [500, 5000, 15_000, 19_500])
def test_thinning_leaves_little_of_the_cap_unused(cap: int) -> None:
    points = np.random.default_rng(0).uniform(0, 3, (20_000, 3)).astype(np.float32)
    points[:, 2] = np.round(points[:, 2])  # on four sheets
    rows, _ = thin(points, np.ones(len(points), np.float32), cap)
    assert 0.95 * cap < len(rows) <= cap


def test_thinning_keeps_the_most_confident() -> None:
    points = np.array([[0, 0, 0], [0.01, 0, 0], [1, 1, 1]], np.float32)
    rows, _ = thin(points, np.float32([0.2, 0.9, 0.5]), 2)
    np.testing.assert_array_equal(rows, [1, 2])


def test_thinning_copes_with_coincident_points() -> None:
    rows, _ = thin(np.zeros((50, 3), np.float32), np.arange(50, dtype=np.float32), 3)
    np.testing.assert_array_equal(rows, [49])


def test_empty_cloud_is_refused() -> None:
    with pytest.raises(SplattingError, match="no points"):
        initialise(cloud(np.zeros((0, 3))), SplattingConfig())


def test_points_that_are_not_finite_are_refused() -> None:
    points = grid(3)
    points[4, 1] = np.inf
    with pytest.raises(SplattingError, match="1 of 9 points"):
        initialise(cloud(points), SplattingConfig())
    unsure = cloud(grid(3))
    unsure.confidence[:2] = np.nan
    with pytest.raises(SplattingError, match="2 of 9 points"):
        initialise(unsure, SplattingConfig())


def test_cap_below_one_is_refused() -> None:
    with pytest.raises(SplattingError, match="max_gaussians is 0"):
        initialise(cloud(grid(3)), SplattingConfig(), max_gaussians=0)


def test_limits_stop_blobs_needles_and_specks() -> None:
    import torch

    config = SplattingConfig().limits
    start = torch.log(torch.tensor([[0.1, 0.1, 0.02]])).repeat(3, 1)
    ceiling = scale_ceiling(start, config, extent=10.0)
    scales = torch.log(torch.tensor([[9.0, 9.0, 9.0], [0.3, 0.001, 0.001], [1e-9, 1e-9, 1e-9]]))
    limit_scales(scales, ceiling, config, extent=10.0)
    largest = 0.1 * config.max_growth
    torch.testing.assert_close(scales[0].exp(), torch.full((3,), largest))
    assert scales[1, 0].exp() == pytest.approx(0.001 * config.max_anisotropy, rel=1e-4)
    torch.testing.assert_close(scales[2].exp(), torch.full((3,), config.min_scale * 10.0))


def test_a_gaussian_may_stay_as_large_as_it_starts() -> None:
    import torch

    start = torch.log(torch.tensor([[5.0, 5.0, 1.0]]))
    scales = start.clone()
    config = SplattingConfig().limits
    limit_scales(scales, scale_ceiling(start, config, extent=1.0), config, extent=1.0)
    torch.testing.assert_close(scales, start)


def test_extent_ignores_outliers() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 3)).astype(np.float32)
    wild = replace(cloud(points), points=np.concatenate([points, [[1e4, 0, 0]]]).astype(np.float32))
    assert scene_extent(wild.points) == pytest.approx(0.9 * np.sqrt(3), rel=0.05)
