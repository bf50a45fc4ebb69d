"""Numbers below 1.2e-38 are computed with as they are: the kernels flush nothing to zero.

They come up in Adam's moments, which decay where a Gaussian gets no gradient. Nothing may depend on them.
"""

import numpy as np
import pytest
import torch
from scenes import Recipe, parameters, scene

from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.cpu import loss as kernels
from reconx_ros.splatting.cpu.adam import adam_step
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.loss import LossWeights, Target, view_loss
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

TINY = np.float32(1e-40)
RECIPE = Recipe(5, 40, 1, 24, 18, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0)
RATES = Rates(*(1e-3 for _ in range(6)))


@pytest.mark.parametrize("rows", [3, 64])
def test_moments_decay_as_ieee_754_says(rows: int) -> None:
    param, gradient = torch.zeros(rows, 3), torch.full((rows, 3), float(TINY))
    first, second = torch.full((rows, 3), float(TINY)), torch.full((rows, 3), 1e-12)
    adam_step(param, gradient, first, second, 5, 1e-3)
    tiny = np.float32(0.9) * TINY + (np.float32(1) - np.float32(0.9)) * TINY
    assert 0 < first[0, 0] < 1.2e-38
    np.testing.assert_allclose(first.numpy(), tiny, rtol=1e-4)  # one ulp is 1.4e-45
    assert torch.isfinite(param).all() and param.abs().max() < 1e-30


def drawn(arrays: list[np.ndarray]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A picture and what a sum over it gives for gradients."""
    some = parameters(arrays, torch.float32)
    rendered = rasterize(some, scene(RECIPE)[1], backend="cpu")
    (rendered.color.sum() + rendered.depth.sum() + rendered.alpha.sum()).backward()
    return rendered.color.detach(), [tensor.grad for tensor in some.tensors()]


@pytest.mark.parametrize("place", range(5))
def test_in_a_gaussian_they_are_as_good_as_zero(place: int) -> None:
    tiny, zero = (scene(RECIPE)[0] for _ in range(2))
    column = (slice(None),) * (tiny[place].ndim - 1) + ((slice(1, None)),)
    tiny[place][column], zero[place][column] = TINY, 0
    (color, slopes), (plain, others) = drawn(tiny), drawn(zero)
    torch.testing.assert_close(color, plain)
    for slope, other in zip(slopes, others, strict=True):
        torch.testing.assert_close(slope, other)


def test_gradients_of_a_picture_move_nothing_that_is_not_finite() -> None:
    arrays, view = scene(RECIPE)
    some = GaussianParameters(*(torch.tensor(a, dtype=torch.float32).requires_grad_() for a in arrays))
    before, adam = [tensor.detach().clone() for tensor in some.tensors()], GaussianAdam(some)
    frame = Frame(some, view)
    frame.color.grad = torch.full_like(frame.color, float(TINY))
    assert frame.step(adam, RATES) == 0
    for tensor, old in zip(some.tensors(), before, strict=True):
        torch.testing.assert_close(tensor.detach(), old, atol=1e-3, rtol=0)


def test_dark_images_have_the_loss_of_black_ones() -> None:
    size = (18, 24)
    found = []
    for value in (float(TINY), 0.0):
        color = torch.full((*size, 3), value, requires_grad=True)
        target = Target(torch.zeros(*size, 3), torch.ones(size), None, kernels.Workspace(*size))
        loss = view_loss(color, torch.ones(size), torch.ones(size), target, LossWeights(0.2, 0.2, 0.05))
        loss.backward()
        found.append((loss.detach(), color.grad))
    assert found[0][0] == pytest.approx(float(found[1][0]), abs=1e-7)
    assert torch.isfinite(found[0][1]).all()
