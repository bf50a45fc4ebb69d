"""The training step that goes around autograd against rasterize, autograd and Adam apart."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenes import RECIPES, Recipe, parameters, scene

from reconx_ros.camera import Camera
from reconx_ros.errors import SplattingError
from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.dropout import thinned, without_some
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

RATES = Rates(0.01, 0.02, 0.03, 0.04, 0.05, 0.06)


def loss(color: torch.Tensor, depth: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    return (color - 0.3).square().mean() + 0.1 * (depth - 1).abs().mean() - 0.2 * alpha.square().mean()


def by_autograd(p: GaussianParameters, view: Camera, adam: GaussianAdam, options: dict[str, object]) -> int:
    rendered = rasterize(p, view, backend="cpu", **options)
    value = loss(rendered.color, rendered.depth, rendered.alpha)
    if value.requires_grad:
        value.backward()
    return adam.step(p, rendered.visible, RATES)


def by_frame(p: GaussianParameters, view: Camera, adam: GaussianAdam, options: dict[str, object]) -> int:
    frame = Frame(p, view, **options)
    loss(frame.color, frame.depth, frame.alpha).backward()
    return frame.step(adam, RATES)


def assert_same(
    ours: GaussianParameters, theirs: GaussianParameters, a: GaussianAdam, b: GaussianAdam
) -> None:
    assert torch.equal(a.counts, b.counts)
    tensors = (*ours.tensors(), *a.first, *a.second), (*theirs.tensors(), *b.first, *b.second)
    for mine, other in zip(*tensors, strict=True):
        torch.testing.assert_close(mine.detach(), other.detach(), rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(recipe=RECIPES, compensate=st.booleans(), degree=st.integers(0, 3))
def test_steps_as_autograd_and_adam_do(recipe: Recipe, compensate: bool, degree: int) -> None:
    arrays, view = scene(recipe)
    ours, theirs = parameters(arrays, torch.float32), parameters(arrays, torch.float32)
    a, b = GaussianAdam(ours), GaussianAdam(theirs)
    options = {"compensate": compensate, "sh_degree": min(degree, recipe.degree)}
    dropped = by_frame(ours, view, a, options), by_autograd(theirs, view, b, options)
    assert dropped[0] == dropped[1]
    assert_same(ours, theirs, a, b)


@pytest.mark.parametrize("count", [5, 53])
def test_thinned_opacities_step_as_by_autograd(count: int) -> None:
    arrays, view = scene(Recipe(3, count, 1, 45, 35, (-3.0, -1.0), (-1.0, 9.0), 0.2, 0.0))
    ours, theirs = parameters(arrays, torch.float32), parameters(arrays, torch.float32)
    a, b = GaussianAdam(ours), GaussianAdam(theirs)
    draws = [torch.Generator().manual_seed(1) for _ in range(2)]
    frame = Frame(ours, view, thinned=thinned(ours.opacity_logits, 0.3, draws[0]))
    rendered = rasterize(without_some(theirs, 0.3, draws[1]), view, backend="cpu")
    torch.testing.assert_close(frame.color, rendered.color)
    loss(frame.color, frame.depth, frame.alpha).backward()
    loss(rendered.color, rendered.depth, rendered.alpha).backward()
    assert frame.step(a, RATES) == b.step(theirs, rendered.visible, RATES) == 0
    assert_same(ours, theirs, a, b)


def test_several_steps_from_several_views() -> None:
    arrays, view = scene(Recipe(5, 53, 2, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.2, 0.0))
    other = Camera(view.intrinsics, view.world_from_camera.copy(), 30, 20)
    other.world_from_camera[:3, 3] += 0.3
    ours, theirs = parameters(arrays, torch.float32), parameters(arrays, torch.float32)
    a, b = GaussianAdam(ours), GaussianAdam(theirs)
    gentle = Rates(*(0.1 * rate for rate in vars(RATES).values()))
    for camera in (view, other, view):
        frame, rendered = Frame(ours, camera), rasterize(theirs, camera, backend="cpu")
        assert torch.equal(frame.visible, rendered.visible)
        loss(frame.color, frame.depth, frame.alpha).backward()
        loss(rendered.color, rendered.depth, rendered.alpha).backward()
        assert frame.step(a, gentle) == b.step(theirs, rendered.visible, gentle) == 0
    assert a.counts.max() == 3 and a.counts.min() < 3
    assert torch.equal(a.counts, b.counts)
    for mine, other_tensor in zip(ours.tensors(), theirs.tensors(), strict=True):
        torch.testing.assert_close(mine.detach(), other_tensor.detach(), rtol=1e-3, atol=1e-3)


def test_gradients_that_are_not_finite_move_nothing() -> None:
    arrays, view = scene(Recipe(7, 50, 1, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.2, 0.0))
    ours = parameters(arrays, torch.float32)
    before = ours.means.detach().clone()
    frame = Frame(ours, view)
    (frame.color.sum() * torch.inf).backward()
    assert frame.step(GaussianAdam(ours), RATES) > 0
    assert all(torch.isfinite(tensor).all() for tensor in ours.tensors())
    assert torch.equal(ours.means.detach(), before)


def test_a_view_that_sees_nothing_moves_nothing() -> None:
    arrays, view = scene(Recipe(7, 50, 1, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0))
    arrays[0] = view.centre - (arrays[0] - view.centre)
    ours = parameters(arrays, torch.float32)
    frame = Frame(ours, view)
    assert not frame.visible.any()
    loss(frame.color, frame.depth, frame.alpha).backward()
    assert frame.step(adam := GaussianAdam(ours), RATES) == 0
    np.testing.assert_array_equal(ours.means.detach().numpy(), arrays[0].astype(np.float32))
    assert adam.counts.sum() == 0


def test_bad_cameras_and_degrees_are_refused() -> None:
    arrays, view = scene(Recipe(7, 9, 1, 20, 10, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0))
    with pytest.raises(SplattingError, match="degree 2 is out of range"):
        Frame(parameters(arrays, torch.float32), view, sh_degree=2)


def test_autograd_notices_the_step() -> None:
    arrays, view = scene(Recipe(7, 50, 1, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.2, 0.0))
    ours = parameters(arrays, torch.float32)
    rendered, frame = rasterize(ours, view, backend="cpu"), Frame(ours, view)
    frame.color.sum().backward()
    frame.step(GaussianAdam(ours), RATES)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rendered.color.sum().backward()


def test_tensors_that_cannot_be_moved_in_place_are_refused() -> None:
    arrays, view = scene(Recipe(7, 9, 1, 20, 10, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0))
    double, turned = parameters(arrays, torch.float64), parameters(arrays, torch.float32)
    turned.sh = turned.sh.detach().transpose(1, 2).contiguous().transpose(1, 2)
    with pytest.raises(SplattingError, match=r"means is torch\.float64"):
        Frame(double, view)
    with pytest.raises(SplattingError, match=r"sh is torch\.float32 on cpu with strides"):
        Frame(turned, view)


def test_maps_of_any_layout_become_contiguous_tensors() -> None:
    shapes = ((9, 3), (9, 3), (9, 4), (9,), (9, 4, 3), (9,))
    arrays = [np.asfortranarray(np.ones(shape, np.float32)) for shape in shapes]
    made = GaussianParameters.from_map(GaussianMap(*arrays, np.zeros(9, np.uint8)))
    assert all(tensor.is_contiguous() for tensor in made.tensors())
