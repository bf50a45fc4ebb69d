"""The fused Adam step against torch.optim.Adam."""

import pytest
import torch

from reconx_ros.splatting.cpu.adam import adam_step


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
