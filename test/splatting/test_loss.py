from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu import loss as kernels
from reconx_ros.splatting.cpu.gradient_loss import gradient_loss, pyramid
from reconx_ros.splatting.cuda_kernels import fused_ssim_map
from reconx_ros.splatting.loss import (
    LEVELS,
    LossWeights,
    Target,
    confidence_weights,
    geometric_reference,
    gradient_reference,
    photometric_reference,
    ssim,
    view_loss,
)
from reconx_ros.splatting.targets import TargetFactory
from reconx_ros.splatting.view import TrainingView

WEIGHTS = LossWeights(ssim=0.2, depth=0.3, coverage=0.1)


def random_target(height: int = 37, width: int = 53, seed: int = 0) -> Target:
    """A target with blocks of unknown depth and of zero weight."""
    rng = np.random.default_rng(seed)
    image = rng.random((height, width, 3)).astype(np.float32)
    weight = rng.uniform(0.2, 3.0, (height, width)).astype(np.float32)
    weight[5:9, 7:20] = 0
    depth = rng.uniform(1, 4, (height, width)).astype(np.float32)
    depth[20:30, 10:30] = np.nan
    return Target(
        torch.from_numpy(image),
        torch.from_numpy(weight),
        torch.from_numpy(depth),
        kernels.Workspace(height, width),
    )


def random_render(target: Target, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    shape = tuple(target.weight.shape)
    color = target.image + torch.from_numpy(rng.normal(0, 0.2, (*shape, 3)).astype(np.float32))
    alpha = torch.from_numpy(rng.uniform(0.05, 1, shape).astype(np.float32))
    error = torch.from_numpy(rng.uniform(0.6, 1.4, shape).astype(np.float32))
    depth = alpha * torch.nan_to_num(target.depth, nan=2.0) * error
    return tuple(t.contiguous().requires_grad_() for t in (color, depth, alpha))


def reference_loss(render: tuple[torch.Tensor, ...], target: Target) -> tuple[float, list[torch.Tensor]]:
    color, depth, alpha = (t.detach().double().requires_grad_() for t in render)
    weight = target.weight.double()
    value = photometric_reference(color, target.image.double(), weight, WEIGHTS.ssim)
    value = value + geometric_reference(depth, alpha, target.depth.double(), weight, WEIGHTS)
    value.backward()
    return value.item(), [color.grad, depth.grad, alpha.grad]


@pytest.mark.parametrize("size", [(37, 53), (11, 11), (3, 4), (1, 1)])
def test_kernels_equal_float64_reference(size: tuple[int, int]) -> None:
    target = random_target(*size)
    render = random_render(target)
    value = view_loss(*render, target, WEIGHTS)
    value.backward()
    expected, gradients = reference_loss(render, target)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    for tensor, gradient in zip(render, gradients, strict=True):
        scale = gradient.abs().max().item()
        torch.testing.assert_close(tensor.grad.double(), gradient, rtol=2e-3, atol=1e-4 * scale)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**31), st.sampled_from([0.0, 0.2, 1.0]))
def test_kernels_equal_float64_reference_anywhere(height: int, width: int, seed: int, share: float) -> None:
    """Any size, unknown depths and zero weights anywhere, any share of D-SSIM."""
    rng, size = np.random.default_rng(seed), (height, width)
    target = random_target(height, width, seed)
    weight = np.where(rng.random(size) < share, 0, target.weight.numpy()).astype(np.float32)
    depth = np.where(rng.random(size) < share, np.nan, target.depth.numpy()).astype(np.float32)
    target = replace(target, weight=torch.from_numpy(weight), depth=torch.from_numpy(depth))
    weights, render = LossWeights(ssim=share, depth=0.3, coverage=0.1), random_render(target, seed)
    value = view_loss(*render, target, weights)
    value.backward()
    color, depth_, alpha = (tensor.detach().double().requires_grad_() for tensor in render)
    parts = target.weight.double(), weights
    exact = photometric_reference(color, target.image.double(), parts[0], share)
    exact = exact + geometric_reference(depth_, alpha, target.depth.double(), *parts)
    exact.backward()
    assert value.item() == pytest.approx(exact.item(), rel=1e-5, abs=1e-7)
    for tensor, other in zip(render, (color, depth_, alpha), strict=True):
        scale = other.grad.abs().max().item()
        torch.testing.assert_close(tensor.grad.double(), other.grad, rtol=2e-3, atol=1e-4 * scale + 1e-9)


def test_reference_gradient_is_the_slope() -> None:
    target = random_target(13, 14)
    color, _, _ = random_render(target)
    color = color.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: photometric_reference(x, target.image.double(), target.weight.double(), 0.2), (color,)
    )


def test_ssim_equals_skimage() -> None:
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(2)
    first = rng.random((40, 50, 3))
    second = np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1)
    expected = structural_similarity(
        first, second, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, truncate=5 / 1.5, full=True,
    )[1]  # fmt: skip
    inside = (slice(5, -5), slice(5, -5))  # borders are padded differently
    ours = ssim(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(ours[inside], expected[inside], atol=1e-6)


class NoConvolution(TorchDispatchMode):
    """Lets no convolution pass: on a GPU it may round to TF32."""

    def __torch_dispatch__(
        self, func: Callable[..., object], types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        assert "conv" not in str(func)
        return func(*args, **(kwargs or {}))


def faint(device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Two bright images whose variance is a ten-thousandth of their mean square."""
    rng = np.random.default_rng(4)
    images = (0.9 + rng.normal(0, 0.01, (2, 30, 40, 3))).astype(np.float32)
    first, second = torch.from_numpy(images).to(device)
    return first.requires_grad_(), second


def ssim_and_slope(first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
    value = ssim(first, second)
    (slope,) = torch.autograd.grad(value.sum(), first)
    return [value.detach().cpu().double(), slope.cpu().double()]


def assert_has_its_digits(found: list[torch.Tensor], first: torch.Tensor, second: torch.Tensor) -> None:
    exact = ssim_and_slope(first.detach().double().requires_grad_(), second.double())
    for one, true in zip(found, exact, strict=True):
        assert (one - true).abs().max() < 1e-3 * true.abs().max()


def test_ssim_keeps_its_digits_and_needs_no_convolution() -> None:
    images = faint()
    with NoConvolution():
        found = ssim_and_slope(*images)
    assert_has_its_digits(found, *images)


@pytest.mark.gpu
def test_ssim_keeps_its_digits_where_tf32_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    images = faint("cuda")
    assert_has_its_digits(ssim_and_slope(*images), *images)


@pytest.mark.gpu
def test_fused_ssim_is_used_where_it_is() -> None:
    pytest.importorskip("fused_ssim", reason="fused-ssim is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    assert fused_ssim_map(ssim) is not None  # which compares it with ``ssim``


def test_perfect_render_has_no_loss_and_no_gradient() -> None:
    target = random_target()
    color = target.image.clone().requires_grad_()
    alpha = torch.ones_like(target.weight)
    value = view_loss(color, torch.nan_to_num(target.depth), alpha, target, WEIGHTS)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert color.grad.abs().max().item() < 1e-6


def test_pixels_of_zero_weight_teach_nothing_but_through_the_window() -> None:
    target = random_target()
    color, depth, alpha = random_render(target)
    view_loss(color, depth, alpha, target, LossWeights(ssim=0.0, depth=1.0, coverage=1.0)).backward()
    outside = target.weight == 0
    assert color.grad[outside].abs().max() == 0
    assert depth.grad[outside].abs().max() == 0
    assert alpha.grad[outside].abs().max() == 0


@pytest.mark.parametrize("mode", ["mean", "log"])
def test_normalised_weights_have_mean_one_and_keep_order(mode: str) -> None:
    confidence = np.random.default_rng(0).uniform(1, 40, (20, 30)).astype(np.float32)
    confidence[:3] = 0
    weights = confidence_weights(confidence, mode)
    assert weights[3:].mean() == pytest.approx(1, rel=1e-5)
    assert (weights[:3] == 0).all()
    order = np.argsort(confidence[3:].ravel())
    assert (np.diff(weights[3:].ravel()[order]) >= 0).all()


@pytest.mark.parametrize("mode", ["uniform", "mean", "log", "raw"])
def test_zero_confidence_leaves_the_view_out(mode: str) -> None:
    assert (confidence_weights(np.zeros((4, 5), np.float32), mode) == 0).all()


@pytest.mark.parametrize("size", [(37, 53), (16, 12), (5, 4), (1, 3), (1, 1)])
def test_gradient_term_equals_float64_reference(size: tuple[int, int]) -> None:
    target = random_target(*size)
    color = random_render(target)[0].detach()
    arguments = target.image.numpy(), target.weight.numpy(), pyramid(*size, LEVELS)
    gradient_loss(color.numpy() + 1, arguments[0], arguments[1] + 1, arguments[2])  # leaves nothing behind
    value, gradient = gradient_loss(color.numpy(), *arguments)
    wanted = color.double().requires_grad_()
    reference = gradient_reference(wanted, target.image.double(), target.weight.double())
    reference.backward()
    assert value == pytest.approx(reference.item(), rel=1e-5, abs=1e-9)
    np.testing.assert_allclose(gradient, wanted.grad, rtol=1e-4, atol=1e-7)


def test_gradient_term_ignores_a_change_of_brightness_and_sees_a_lost_edge() -> None:
    target = random_target(24, 24)
    flat = torch.full_like(target.image, 0.5)
    brighter = gradient_reference(target.image + 0.1, target.image, target.weight)
    assert brighter.item() < 1e-6
    assert gradient_reference(flat, target.image, target.weight).item() > 0.05


def test_views_of_one_size_share_all_that_they_need_not_keep() -> None:
    """A live map holds many views: each keeps its image, weights and depth, and nothing else."""
    size = (48, 64)
    camera = Camera(np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]), np.eye(4), 64, 48)
    image, ones = np.random.default_rng(0).random((*size, 3), np.float32), np.ones(size, np.float32)
    views = [TrainingView(camera, image, ones, 2 * ones, OBSERVED) for _ in range(2)]
    factory = TargetFactory(SplattingConfig(gradient_weight=0.1), torch.device("cpu"))
    first, second = (factory.make(view) for view in views)
    assert first is not None and second is not None and first.work is not None
    kept = {name for name, value in vars(first).items() if value is not vars(second)[name]}
    assert kept == {"image", "weight", "depth"}
    assert sum(vars(first)[name].numel() for name in kept) == 5 * 48 * 64
