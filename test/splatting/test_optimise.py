import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numba
import numpy as np
import pytest
import torch

from reconx_ros.camera import Camera
from reconx_ros.errors import SplattingError
from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.config import LearningRates, SplattingConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.view import TrainingView

CONFIG = SplattingConfig(steps=40, sh_degree=1, max_gaussians=500, coverage_weight=0.0)
STILL = CONFIG.model_copy(update={"rates": LearningRates(opacities=2.5e-2)})
"""A map that is right already wanders less at this rate, so that what bad pixels do to it shows."""


def optimise(
    gaussians: GaussianMap,
    views: Sequence[TrainingView],
    config: SplattingConfig,
    progress: Progress | None = None,
) -> tuple[GaussianMap, OptimisationReport]:
    """Optimise ``gaussians`` on ``views`` as the pipeline does: to the end, all evidence fresh."""
    optimiser = GaussianOptimiser(gaussians, config)
    optimiser.add_views(views)
    report = optimiser.run(progress=progress)
    return optimiser.gaussians(evidence_views=None), report


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Scenes of a few pixels: threads would only wait for each other."""
    threads = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    yield
    torch.set_num_threads(threads[0])
    numba.set_num_threads(threads[1])


def wall(count: int = 60, seed: int = 0, z: float = 3.0) -> GaussianMap:
    """Coloured Gaussians near the wall at ``z`` metres, at depths so far apart that none change places."""
    rng = np.random.default_rng(seed)
    means = np.column_stack([rng.uniform(-1.2, 1.2, (count, 2)), z + np.linspace(-0.3, 0.3, count)])
    sh = np.zeros((count, 4, 3))
    sh[:, 0] = rng.uniform(-1.5, 1.5, (count, 3))
    return GaussianMap(
        means.astype(np.float32),
        np.full((count, 3), math.log(0.2), np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        np.full(count, 2.0, np.float32),
        sh.astype(np.float32),
        np.full(count, 0.8, np.float32),
        (np.arange(count) % 2).astype(np.uint8),
    )


def camera(x: float = 0.0, width: int = 20, height: int = 15) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = x
    intrinsics = np.array([[18.0, 0, width / 2 - 0.5], [0, 18.0, height / 2 - 0.5], [0, 0, 1]])
    return Camera(intrinsics, pose, width, height)


def view_of(gaussians: GaussianMap, x: float = 0.0, gain: float = 1.0) -> TrainingView:
    image, depth, _ = render_view(gaussians, camera(x))
    confidence = np.full(depth.shape, 5.0, np.float32)
    return TrainingView(camera(x), np.clip(image * gain, 0, 1), confidence, depth, OBSERVED)


def disturbed(gaussians: GaussianMap) -> GaussianMap:
    rng = np.random.default_rng(9)
    return replace(
        gaussians,
        sh=gaussians.sh + rng.normal(0, 0.3, gaussians.sh.shape).astype(np.float32),
    )


def psnr(gaussians: GaussianMap, truth: GaussianMap, x: float) -> float:
    error = render_view(gaussians, camera(x))[0] - render_view(truth, camera(x))[0]
    return float(-10 * np.log10((error**2).mean()))


def assert_valid(gaussians: GaussianMap) -> None:
    for array in (gaussians.means, gaussians.log_scales, gaussians.quaternions_wxyz, gaussians.sh):
        assert np.isfinite(array).all()
    assert np.isfinite(gaussians.opacity_logits).all()
    assert ((gaussians.confidence >= 0) & (gaussians.confidence <= 1)).all()


def assert_same(first: GaussianMap, second: GaussianMap) -> None:
    for name in GaussianMap.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


class CancelAfter(Silent):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def cancelled(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_recovers_a_disturbed_map_on_an_unseen_view() -> None:
    truth = wall()
    views = [view_of(truth, x) for x in (-0.3, 0.0, 0.3)]
    start = disturbed(truth)
    result, report = optimise(start, views, CONFIG.model_copy(update={"steps": 150}))
    assert psnr(result, truth, 0.15) > psnr(start, truth, 0.15) + 6
    assert report.steps == 150
    assert report.stopped == "finished"
    assert_valid(result)
    np.testing.assert_array_equal(result.provenance, start.provenance)


def test_same_seed_same_map() -> None:
    truth = wall()
    views = [view_of(truth, x) for x in (-0.3, 0.3)]
    assert_same(optimise(disturbed(truth), views, CONFIG)[0], optimise(disturbed(truth), views, CONFIG)[0])


def test_exposure_of_each_view_is_fitted() -> None:
    truth = replace(wall(), sh=wall().sh * np.float32(0.5))  # no colour clips
    views = [view_of(truth, -0.2, gain=0.8), view_of(truth, 0.0), view_of(truth, 0.2, gain=1.2)]
    rates = LearningRates(
        means=0, scales=0, rotations=0, opacities=0, colours=0, harmonics=0, exposure=0.02
    )
    optimiser = GaussianOptimiser(
        truth, CONFIG.model_copy(update={"steps": 150, "exposure": True, "rates": rates})
    )
    optimiser.add_views(views)
    optimiser.run()
    appearance = optimiser.appearance()
    exposed_grey = 0.5 * appearance.gains + appearance.biases
    np.testing.assert_allclose(exposed_grey.mean(axis=1), [0.4, 0.5, 0.6], atol=0.005)


def test_depth_pulls_gaussians_onto_the_surface() -> None:
    truth = wall(z=3.0)
    start = replace(truth, means=truth.means + np.float32([0, 0, 0.2]))
    rates = LearningRates(means=5e-3)
    with_depth = CONFIG.model_copy(update={"steps": 100, "depth_weight": 2.0, "rates": rates})
    result = optimise(start, [view_of(truth)], with_depth)[0]
    assert abs(np.median(result.means[:, 2]) - 3.0) < 0.05


def test_cancelling_gives_the_map_so_far() -> None:
    truth = wall()
    result, report = optimise(disturbed(truth), [view_of(truth)], CONFIG, CancelAfter(7))
    assert (report.steps, report.stopped) == (7, "cancelled")
    assert_valid(result)


def test_deadline_stops() -> None:
    truth = wall()
    optimiser = GaussianOptimiser(disturbed(truth), CONFIG)
    optimiser.add_views([view_of(truth)])
    report = optimiser.run(seconds=0.0)
    assert (report.steps, report.stopped) == (0, "deadline")
    assert optimiser.run(seconds=0.3).steps > 0


def test_no_steps_leave_the_map_as_it_was() -> None:
    truth = wall()
    result, report = optimise(truth, [view_of(truth)], CONFIG.model_copy(update={"steps": 0}))
    np.testing.assert_array_equal(result.means, truth.means)
    assert report.loss is None


def test_no_views_change_nothing() -> None:
    truth = wall()
    result, report = optimise(truth, [], CONFIG)
    assert report.stopped == "no views"
    assert_same(result, truth)


def test_a_view_that_sees_nothing_moves_nothing() -> None:
    truth = wall()
    behind = view_of(truth)
    pose = np.diag([-1.0, 1.0, -1.0, 1.0])
    away = replace(behind, camera=behind.camera.moved(pose))
    result, report = optimise(truth, [away], CONFIG)
    assert report.steps == CONFIG.steps
    np.testing.assert_allclose(result.means, truth.means)
    assert (result.confidence[truth.provenance == OBSERVED] == 0).all()


def test_map_grows_with_views_and_gaussians() -> None:
    truth = GaussianMap.concatenate(wall(40, 0), wall(40, 1))
    left, right = truth.select(truth.means[:, 0] < 0), truth.select(truth.means[:, 0] >= 0)
    optimiser = GaussianOptimiser(left, CONFIG)
    optimiser.add_views([view_of(truth, -0.3)])
    optimiser.run(steps=20)
    optimiser.gaussians()
    optimiser.add_gaussians(right)
    optimiser.add_views([view_of(truth, 0.3)])
    report = optimiser.run(steps=20)
    assert (report.gaussians, report.views, report.total_steps) == (80, 2, 40)
    assert_valid(optimiser.gaussians())
    assert psnr(optimiser.gaussians(), truth, 0.0) > 20


def test_cap_is_never_exceeded_and_counted() -> None:
    config = CONFIG.model_copy(update={"max_gaussians": 50})
    optimiser = GaussianOptimiser(wall(60, 0), config)
    assert len(optimiser.gaussians()) <= 50
    optimiser.add_views([view_of(wall(60, 0))])
    optimiser.run(steps=3)
    optimiser.gaussians()
    optimiser.add_gaussians(wall(30, 1))
    report = optimiser.run(steps=3)
    assert report.gaussians <= 50
    assert report.dropped_gaussians == 90 - report.gaussians
    assert_valid(optimiser.gaussians())


def test_nothing_is_added_from_a_bad_batch() -> None:
    truth = wall()
    optimiser = GaussianOptimiser(truth, CONFIG)
    good = view_of(truth)
    bad = replace(good, depth=good.depth[1:])
    with pytest.raises(SplattingError, match="depth of a view is 20x14 pixels, its camera 20x15"):
        optimiser.add_views([good, bad])
    assert optimiser.run(steps=1).stopped == "no views"


def test_negative_confidence_is_refused() -> None:
    truth = wall()
    view = view_of(truth)
    with pytest.raises(SplattingError, match="confidence -1"):
        optimise(truth, [replace(view, confidence=view.confidence - 6)], CONFIG)


def test_a_view_too_near_to_be_drawn_is_refused() -> None:
    truth = wall()
    view = view_of(truth)
    with pytest.raises(SplattingError, match=r"nothing nearer than 0\.01 is drawn: .* smaller units"):
        optimise(truth, [replace(view, depth=view.depth * np.float32(1e-3))], CONFIG)


@pytest.mark.parametrize(
    "field", ["means", "log_scales", "quaternions_wxyz", "opacity_logits", "sh", "confidence"]
)
def test_gaussians_that_are_not_finite_are_refused(field: str) -> None:
    array = getattr(wall(), field).copy()
    array[3] = np.nan
    with pytest.raises(SplattingError, match="1 of 60 Gaussians"):
        GaussianOptimiser(replace(wall(), **{field: array}), CONFIG)


def test_no_gaussians_are_refused() -> None:
    with pytest.raises(SplattingError, match="no Gaussians"):
        GaussianOptimiser(wall().select(np.zeros(60, bool)), CONFIG)


def test_unknown_device_is_refused() -> None:
    with pytest.raises(SplattingError, match="device 'tpu'"):
        GaussianOptimiser(wall(), CONFIG, device="tpu")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_left_out(value: float) -> None:
    truth = wall()
    view = view_of(truth)
    image, confidence, depth = view.image.copy(), view.confidence.copy(), view.depth.copy()
    image[2:4], confidence[6:7], depth[10:12] = value, value, value
    damaged = replace(view, image=image, confidence=confidence, depth=depth)
    result, report = optimise(truth, [damaged], STILL)
    assert report.skipped_steps == 0
    assert_valid(result)
    assert psnr(result, truth, 0.0) > 30


def test_views_without_weight_are_counted() -> None:
    truth = wall()
    view = view_of(truth)
    blind = replace(view, confidence=np.zeros_like(view.confidence))
    report = optimise(truth, [view, blind], CONFIG.model_copy(update={"steps": 2}))[1]
    assert (report.views, report.ignored_views) == (1, 1)


def test_generated_views_train_by_their_confidence() -> None:
    truth = wall()
    view = view_of(truth)
    dark = replace(view, image=np.zeros_like(view.image), provenance=GENERATED)  # not filmed: every epoch

    def loss_of(share: float) -> GaussianMap:
        weight = np.full_like(view.confidence, share)
        return optimise(truth, [view, replace(dark, confidence=weight)], CONFIG)[0]

    assert psnr(loss_of(0.01), truth, 0.0) > psnr(loss_of(1.0), truth, 0.0) + 3


def test_huge_values_never_make_the_map_invalid() -> None:
    truth = wall()
    wild = replace(truth, opacity_logits=np.full(60, 80.0, np.float32), log_scales=truth.log_scales + 20)
    view = view_of(truth)
    result, _ = optimise(wild, [replace(view, image=view.image * 1e6)], CONFIG)
    assert_valid(result)


def test_gradients_that_are_not_finite_are_dropped_and_counted() -> None:
    optimiser = GaussianOptimiser(wall(), CONFIG)
    optimiser.add_views([view_of(wall())])
    state = optimiser._state
    rates = optimiser._annealing.rates(1.0)
    for tensor in state.parameters.tensors():
        tensor.grad = torch.ones_like(tensor)
    state.parameters.means.grad[4, 1] = float("nan")
    before = state.parameters.means.detach().clone()
    state.step(torch.ones(60, dtype=torch.bool), rates)
    assert state.repaired == 1
    after = state.parameters.means.detach()
    torch.testing.assert_close(after[4], before[4])
    assert (after[5] != before[5]).all()


def test_report_is_json_ready() -> None:
    import json
    from dataclasses import asdict

    report = optimise(wall(), [view_of(wall())], CONFIG.model_copy(update={"steps": 1}))[1]
    assert OptimisationReport(**json.loads(json.dumps(asdict(report)))) == report


def test_two_views_teach_no_harmonics_above_degree_one() -> None:
    truth = wall()
    config = CONFIG.model_copy(update={"sh_degree": 3, "sh_interval": 1, "steps": 12})
    grey = replace(truth, sh=np.zeros((len(truth), 16, 3), np.float32))
    views = [view_of(truth), view_of(truth), view_of(truth)]
    few, _ = optimise(grey, views[:2], config)
    more, _ = optimise(grey, views, config)
    assert np.abs(few.sh[:, 1:4]).max() > 0
    assert np.abs(few.sh[:, 4:]).max() == 0
    assert np.abs(more.sh[:, 4:]).max() > 0
