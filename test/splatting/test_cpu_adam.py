"""The fused Adam step against torch.optim.Adam."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reconx_ros.splatting.cpu.adam import adam_step

Array = NDArray[np.float64]


@pytest.mark.parametrize("shape", [(37, 3), (5000,), (10, 16, 3), (0, 3)])
def test_all_rows_step_like_torch(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(shape, generator=generator)
    theirs = ours.clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.01, eps=1e-15)
    m, v = torch.zeros_like(ours), torch.zeros_like(ours)
    for step in range(1, 6):
        theirs.grad = torch.randn(shape, generator=generator) * 10.0 ** (step - 3)
        optimiser.step()
        adam_step(ours, theirs.grad, m, v, step, 0.01)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


def test_rows_out_of_sight_stay() -> None:
    generator = torch.Generator().manual_seed(1)
    before = torch.randn(50, 4, generator=generator)
    gradient = torch.randn(50, 4, generator=generator)
    visible = torch.rand(50, generator=generator) < 0.5
    results = []
    for mask in (visible, None):
        param, m, v = before.clone(), torch.full((50, 4), 0.1), torch.full((50, 4), 0.2)
        adam_step(param, gradient, m, v, 3, 0.01, mask)
        results.append((param, m, v))
    for masked, dense, start in zip(*results, (before, 0.1, 0.2), strict=True):
        assert torch.equal(masked[visible], dense[visible])
        assert (masked[~visible] == (start[~visible] if isinstance(start, torch.Tensor) else start)).all()
        assert (masked[visible] != dense[~visible][:1]).any()


def test_other_layouts_are_refused() -> None:
    good, bad = torch.zeros(3, 4), torch.zeros(4, 3).T
    with pytest.raises(ValueError, match="contiguous float32"):
        adam_step(good, bad, good, good, 1, 0.1)
    with pytest.raises(ValueError, match="contiguous float32"):
        adam_step(good.double(), good, good, good, 1, 0.1)


def exact_step(
    param: Array, grad: Array, m: Array, v: Array, counts: Array, rates: Array, used: Array
) -> None:
    """Adam in float64, straight from the paper."""
    m[used] = 0.9 * m[used] + 0.1 * grad[used]
    v[used] = 0.999 * v[used] + 0.001 * grad[used] ** 2
    t = counts[used][:, None]
    mean, square = m[used] / (1 - 0.9**t), v[used] / (1 - 0.999**t)
    param[used] -= rates * mean / (np.sqrt(square) + 1e-15)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 70), st.sampled_from([1, 3, 4, 12, 27, 48]), st.integers(0, 2**31), st.floats(-6, 4))
def test_agrees_with_float64(rows: int, width: int, seed: int, size: float) -> None:
    """Any number of rows and numbers a row, gradients of any size, hidden rows, gradients not finite."""
    rng = np.random.default_rng(seed)
    exact = [rng.normal(size=(rows, width)) for _ in range(2)]
    exact += [rng.normal(size=(rows, width)) * 10**size, rng.random((rows, width)) * 100**size]
    exact[1] *= 10**size
    fast = [torch.tensor(array.astype(np.float32)) for array in exact]
    exact = [tensor.double().numpy() for tensor in fast]
    counts, rates = rng.integers(1, 40_000, rows).astype(np.int32), rng.random(width).astype(np.float32)
    visible, broken = rng.random(rows) < 0.7, rng.random(rows) < 0.1
    fast[1][torch.tensor(broken), width // 2] = float(rng.choice([np.nan, np.inf, -np.inf]))
    before = fast[0].clone()
    dropped = adam_step(*fast, torch.tensor(counts), rates, torch.tensor(visible))
    assert dropped == (visible & broken).sum()
    used = visible & ~broken
    exact_step(*exact, counts, rates.astype(np.float64), used)
    moved = np.abs(exact[0] - before.numpy()).max(initial=1e-30)
    for k, scale in ((0, moved), (2, np.abs(exact[2]).max(initial=0)), (3, exact[3].max(initial=0))):
        np.testing.assert_allclose(fast[k].numpy(), exact[k], rtol=1e-6, atol=1e-5 * scale + 1e-30)
    assert torch.equal(fast[0][torch.tensor(~used)], before[torch.tensor(~used)])
