"""What cannot be used ends in one clear error or is left out, and the map never becomes NaN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_optimise import CONFIG as FORTY_STEPS
from test_optimise import STILL, assert_valid, optimise, psnr, view_of, wall

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.config import RefinementConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize, render_view

TRUTH = wall()
CONFIG = FORTY_STEPS.model_copy(update={"steps": 20})


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["world_from_camera", "intrinsics"])
def test_cameras_that_are_not_finite_are_refused_when_they_come(where: str, value: float) -> None:
    view = view_of(TRUTH)
    numbers = getattr(view.camera, where).copy()
    numbers[0, 2] = value
    lost = replace(view, camera=replace(view.camera, **{where: numbers}))
    optimiser = GaussianOptimiser(TRUTH, CONFIG)
    with pytest.raises(SplattingError, match="cannot be rendered"):
        optimiser.add_views([view, lost])
    assert optimiser.view_count == 0


@pytest.mark.parametrize("field", ["image", "confidence", "depth"])
def test_arrays_of_another_size_than_the_camera_are_named(field: str) -> None:
    view = view_of(TRUTH)
    with pytest.raises(SplattingError, match=f"the {field} of a view is 20x13 pixels, its camera 20x15"):
        optimise(TRUTH, [replace(view, **{field: getattr(view, field)[2:]})], CONFIG)


def test_an_image_without_three_channels_is_named() -> None:
    view = view_of(TRUTH)
    with pytest.raises(SplattingError, match=r"shape \(15, 20, 1\)"):
        optimise(TRUTH, [replace(view, image=view.image[..., :1])], CONFIG)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["image", "confidence", "depth"])
def test_a_view_of_nothing_but_bad_numbers_spoils_nothing(field: str, value: float) -> None:
    view = view_of(TRUTH)
    broken = replace(view, **{field: np.full_like(getattr(view, field), value)})
    result, report = optimise(TRUTH, [view, broken], STILL)
    assert report.skipped_steps == 0
    assert report.ignored_views == (field != "depth")
    assert_valid(result)
    assert psnr(result, TRUTH, 0.0) > 30


def test_views_of_no_confidence_at_all_leave_the_map_as_it_is() -> None:
    view = view_of(TRUTH)
    blind = replace(view, confidence=np.zeros_like(view.confidence))
    result, report = optimise(TRUTH, [blind, blind], CONFIG)
    assert (report.stopped, report.steps, report.ignored_views) == ("no views", 0, 2)
    np.testing.assert_array_equal(result.means, TRUTH.means)
    np.testing.assert_array_equal(result.confidence, TRUTH.confidence)


def flat_in(axes: list[int]) -> GaussianMap:
    scales = TRUTH.log_scales.copy()
    scales[::2, axes] = -60  # exp(-60) squared is 0 in float32
    return replace(TRUTH, log_scales=scales)


@pytest.mark.parametrize("axes", [[2], [0], [0, 1], [0, 1, 2]])
def test_singular_covariances_are_drawn_and_optimised(axes: list[int]) -> None:
    singular = flat_in(axes)
    view = view_of(TRUTH)
    exact = GaussianParameters.from_map(singular, dtype=torch.float64)
    expected = rasterize(exact, view.camera, backend="reference").color
    np.testing.assert_allclose(render_view(singular, view.camera)[0], expected, atol=2e-3)
    result, report = optimise(singular, [view], CONFIG)
    assert report.repaired_gradients == report.skipped_steps == 0
    assert_valid(result)
    assert psnr(result, TRUTH, 0.0) > 18


def test_quaternions_of_no_length_are_left_out_of_the_image_and_stay_finite() -> None:
    quaternions = TRUTH.quaternions_wxyz.copy()
    quaternions[::2] = 0
    lost = replace(TRUTH, quaternions_wxyz=quaternions)
    shown = render_view(lost, view_of(TRUTH).camera)[0]
    np.testing.assert_allclose(
        shown, render_view(TRUTH.select(np.arange(1, 60, 2)), view_of(TRUTH).camera)[0]
    )
    assert_valid(optimise(lost, [view_of(TRUTH)], CONFIG)[0])


@pytest.mark.parametrize("cap", [1, 7])
def test_a_cap_below_the_first_map_is_kept_and_what_stays_covers_it(cap: int) -> None:
    result, report = optimise(TRUTH, [view_of(TRUTH)], CONFIG.model_copy(update={"max_gaussians": cap}))
    assert 1 <= report.gaussians == len(result) <= cap
    assert report.dropped_gaussians == 60 - len(result)
    assert_valid(result)


@pytest.mark.parametrize("refine", [{"poses": True}, {"focal": True}])
def test_cameras_cannot_be_fitted_without_the_cpu_rasterizer(refine: dict[str, bool]) -> None:
    config = CONFIG.model_copy(update={"refine": RefinementConfig(**refine), "rasterizer": "reference"})
    with pytest.raises(SplattingError, match="cannot fit cameras with rasterizer 'reference'"):
        GaussianOptimiser(TRUTH, config, "cpu")
