"""The choice of a rasterizer, bad input, and the view without gradients."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import Recipe, parameters, scene

from reconx_ros.errors import MissingDependencyError, SplattingError
from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.splatting import gsplat_backend
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import observed_by, rasterize, render_view

ARRAYS, VIEW = scene(Recipe(1, 60, 1, 40, 30, (-3.0, -1.0), (0.0, 3.0), 0.2, 0.0))


def gaussian_map() -> GaussianMap:
    single = [array.astype(np.float32) for array in ARRAYS]
    return GaussianMap(*single, np.ones(60, np.float32), np.zeros(60, np.uint8))


def test_parameters_come_from_and_go_to_a_map() -> None:
    gaussians = gaussian_map()
    there = GaussianParameters.from_map(gaussians, requires_grad=True)
    assert all(tensor.requires_grad and tensor.dtype == torch.float32 for tensor in there.tensors())
    assert there.sh_degree == 1 and len(there) == 60
    for name, array in there.to_arrays().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, getattr(gaussians, name))
        array[:] = 0
    np.testing.assert_array_equal(there.means.detach(), gaussians.means)
    assert GaussianParameters.from_map(gaussians, dtype=torch.float64).sh.dtype == torch.float64


def test_what_was_seen_is_shown_without_what_was_generated() -> None:
    gaussians = gaussian_map()
    seen = gaussians.select(np.arange(30))
    mixed = replace(
        gaussians, provenance=np.where(np.arange(60) < 30, OBSERVED, GENERATED).astype(np.uint8)
    )
    image, alpha = observed_by(mixed)(VIEW)
    expected, _, opaque = render_view(seen, VIEW)
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(alpha, opaque)
    assert (render_view(mixed, VIEW)[2] > alpha + 0.1).any()


def test_a_view_has_depth_where_it_is_covered() -> None:
    image, depth, alpha = render_view(gaussian_map(), VIEW)
    exact = rasterize(parameters(ARRAYS, torch.float64, grad=False), VIEW, backend="reference")
    np.testing.assert_allclose(image, exact.color, atol=1e-4)
    clear = np.abs(exact.alpha.numpy() - 0.5) > 1e-4
    covered = exact.alpha.numpy() >= 0.5
    assert covered.any() and not covered.all()
    np.testing.assert_array_equal(np.isnan(depth)[clear], ~covered[clear])
    expected = (exact.depth / exact.alpha).numpy()
    np.testing.assert_allclose(depth[covered & clear], expected[covered & clear], rtol=1e-4)
    assert image.dtype == depth.dtype == alpha.dtype == np.float32


def test_double_precision_parameters_get_their_gradients() -> None:
    exact = parameters(ARRAYS, torch.float64)
    rasterize(exact, VIEW).color.sum().backward()
    assert exact.means.grad is not None and exact.means.grad.dtype == torch.float64


@pytest.mark.parametrize("degree", [-1, 2])
def test_degrees_out_of_range_are_named(degree: int) -> None:
    with pytest.raises(SplattingError, match=f"degree {degree} is out of range.*0 to 1"):
        rasterize(parameters(ARRAYS, torch.float32), VIEW, sh_degree=degree)


@pytest.mark.parametrize("change", [{"width": 0}, {"intrinsics": np.zeros((3, 3))}])
def test_impossible_cameras_are_named(change: dict[str, object]) -> None:
    with pytest.raises(SplattingError, match="cannot be rendered"):
        rasterize(parameters(ARRAYS, torch.float32), replace(VIEW, **change))


def test_cameras_at_no_place_are_named() -> None:
    with pytest.raises(SplattingError, match="cannot be rendered"):
        rasterize(parameters(ARRAYS, torch.float32), VIEW.moved(np.full((4, 4), np.nan)))


def test_tensors_of_different_lengths_are_named() -> None:
    arrays = [*ARRAYS[:3], ARRAYS[3][:-1], ARRAYS[4]]
    with pytest.raises(SplattingError, match=r"\[59, 60\] rows"):
        rasterize(parameters(arrays, torch.float32), VIEW)


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without a CUDA device")
def test_without_cuda_gsplat_says_what_is_missing() -> None:
    with pytest.raises(MissingDependencyError, match="no CUDA device"):
        rasterize(parameters(ARRAYS, torch.float32), VIEW, backend="gsplat")
    gsplat_backend.usable.cache_clear()
    with pytest.warns(UserWarning, match="no CUDA device.*on the CPU instead"):
        assert not gsplat_backend.usable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not gsplat_backend.usable()
        rasterize(parameters(ARRAYS, torch.float32), VIEW)
