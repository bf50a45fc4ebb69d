import numpy as np
import pytest
import torch

from reconx_ros.splatting.adam import BETAS, EPSILON, GaussianAdam, Rates, torch_step
from reconx_ros.splatting.cpu.adam import adam_step
from reconx_ros.splatting.cuda_kernels import adam_kernel, kernel_step
from reconx_ros.splatting.parameters import GaussianParameters

RATES = Rates(0.01, 0.02, 0.03, 0.04, 0.05, 0.06)


def parameters(count: int = 5, seed: int = 0) -> GaussianParameters:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((count, 3), (count, 3), (count, 4), (count,), (count, 4, 3))
    return GaussianParameters(*(torch.randn(s, generator=generator).requires_grad_() for s in shapes))


def set_gradients(map_parameters: GaussianParameters, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for tensor in map_parameters.tensors():
        tensor.grad = torch.randn(tensor.shape, generator=generator)


def test_kernel_and_torch_step_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    first = [torch.randn(300, 4, 3, generator=generator) for _ in range(2)]
    first += [torch.zeros(300, 4, 3), torch.zeros(300, 4, 3)]
    second = [tensor.clone() for tensor in first]
    counts = torch.randint(1, 9, (300,), generator=generator, dtype=torch.int32)
    visible = torch.rand(300, generator=generator) < 0.6
    first[1][7], second[1][7] = float("nan"), float("nan")
    visible[7] = True
    rates = [0.1] * 3 + [0.01] * 9
    for step in range(3):
        dropped = adam_step(*first, counts + step, rates, visible, betas=BETAS, eps=EPSILON)
        assert dropped == torch_step(*second, counts + step, rates, visible, betas=BETAS, eps=EPSILON) == 1
    for ours, reference in zip(first[:1] + first[2:], second[:1] + second[2:], strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-5)


def uncorrected(  # what gsplat's kernel computes, row by row where valid
    param: torch.Tensor, grad: torch.Tensor, m: torch.Tensor, v: torch.Tensor, valid: torch.Tensor,
    lr: float, beta1: float, beta2: float, eps: float,
) -> None:  # fmt: skip
    for row in valid.nonzero().flatten():
        m[row] = beta1 * m[row] + (1 - beta1) * grad[row]
        v[row] = beta2 * v[row] + (1 - beta2) * grad[row] ** 2
        param[row] -= lr * m[row] / (v[row].sqrt() + eps)


@pytest.mark.parametrize("shape", [(40, 4, 3), (40,)])
def test_a_kernel_without_bias_correction_steps_as_torch_step(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    first = [torch.randn(shape, generator=generator), torch.zeros(shape), torch.zeros(shape)]
    second = [tensor.clone() for tensor in first]
    counts = torch.randint(0, 9, (40,), generator=generator, dtype=torch.int32)
    rates = [0.1 * (1 + number) for number in range(first[0][0].numel())]
    for step in range(1, 4):
        grad = torch.randn(shape, generator=generator)
        grad[7], grad[8] = float("nan"), 0
        visible = torch.rand(40, generator=generator) < 0.6
        visible[7] = True
        options = {"betas": BETAS, "eps": EPSILON}
        arguments = counts + step, rates, visible
        assert kernel_step(uncorrected, first[0], grad, *first[1:], *arguments, **options) == 1
        assert torch_step(second[0], grad, *second[1:], *arguments, **options) == 1
    for ours, reference in zip(first, second, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.gpu
def test_the_kernel_of_gsplat_is_used_where_it_is() -> None:
    pytest.importorskip("gsplat", reason="gsplat is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    assert adam_kernel() is not None


def test_steps_as_torch_adam_does_with_a_rate_each() -> None:
    ours, theirs = parameters(), parameters()
    rates = (RATES.means, RATES.scales, RATES.rotations, RATES.opacities)
    groups = [{"params": [t], "lr": r} for t, r in zip(theirs.tensors()[:4], rates, strict=True)]
    reference = torch.optim.Adam(groups, betas=BETAS, eps=EPSILON)
    adam = GaussianAdam(ours)
    for step in range(4):
        set_gradients(ours, step)
        set_gradients(theirs, step)
        adam.step(ours, torch.ones(5, dtype=torch.bool), RATES)
        reference.step()
    for mine, other in zip(ours.tensors()[:4], theirs.tensors()[:4], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_first_step_is_the_rate_of_each_coefficient() -> None:
    ours = parameters()
    before = ours.sh.detach().clone()
    set_gradients(ours, 0)
    GaussianAdam(ours).step(ours, torch.ones(5, dtype=torch.bool), RATES)
    moved = (ours.sh.detach() - before).abs()
    torch.testing.assert_close(moved[:, 0], torch.full((5, 3), RATES.colours), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moved[:, 1:], torch.full((5, 3, 3), RATES.harmonics), rtol=1e-4, atol=1e-5)
    assert ours.sh.grad is None


def test_rearranged_rows_keep_their_state_and_new_ones_start_fresh() -> None:
    ours = parameters()
    adam = GaussianAdam(ours)
    for step in range(5):
        set_gradients(ours, step)
        adam.step(ours, torch.ones(5, dtype=torch.bool), RATES)
    kept = torch.tensor([1, 4])
    grown = GaussianParameters(
        *(torch.cat([t.detach()[kept], torch.zeros_like(t[:1])]).requires_grad_() for t in ours.tensors())
    )
    adam.rearrange(kept, 1)
    set_gradients(ours, 9)
    for tensor, old in zip(grown.tensors(), ours.tensors(), strict=True):
        tensor.grad = torch.cat([old.grad[kept], torch.ones_like(old[:1])])
    before = ours.means.detach()[kept].clone()
    adam.step(grown, torch.ones(3, dtype=torch.bool), RATES)
    reference = GaussianAdam(again := parameters())
    for step in (*range(5), 9):
        set_gradients(again, step)
        reference.step(again, torch.ones(5, dtype=torch.bool), RATES)
    torch.testing.assert_close(grown.means[:2], again.means[kept])
    assert (grown.means[:2] != before).all()
    np.testing.assert_allclose(grown.means[2].detach(), -RATES.means, rtol=1e-4)


@pytest.mark.parametrize("field", ["means", "sh"])
def test_rows_with_bad_gradients_are_counted_and_left(field: str) -> None:
    ours = parameters()
    set_gradients(ours, 0)
    getattr(ours, field).grad[3] = float("inf")
    before = getattr(ours, field).detach().clone()
    assert GaussianAdam(ours).step(ours, torch.ones(5, dtype=torch.bool), RATES) == 1
    after = getattr(ours, field).detach()
    torch.testing.assert_close(after[3], before[3])
    assert (after[2] != before[2]).all()
