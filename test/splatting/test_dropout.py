import numpy as np
import pytest
import torch

from reconx_ros.splatting.dropout import HIDDEN, MOST_OPAQUE, thinned, without_some
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.parameters import GaussianParameters


def alike(count: int, logit: float) -> GaussianParameters:
    ones = np.ones((count, 3), np.float32)
    return GaussianParameters.from_map(
        GaussianMap(
            means=ones, log_scales=-3 * ones, quaternions_wxyz=np.ones((count, 4), np.float32),
            opacity_logits=np.full(count, logit, np.float32), sh=np.zeros((count, 1, 3), np.float32),
            confidence=np.ones(count, np.float32), provenance=np.zeros(count, np.uint8),
        ),
        requires_grad=True,
    )  # fmt: skip


def test_the_mean_opacity_stays_and_the_share_left_out_is_the_rate() -> None:
    parameters = alike(20_000, float(np.log(0.4 / 0.6)))
    opacity = without_some(parameters, 0.3, torch.Generator().manual_seed(0)).opacity_logits.sigmoid()
    assert opacity.mean().item() == pytest.approx(0.4, abs=0.006)
    assert (opacity < 1e-6).double().mean().item() == pytest.approx(0.3, abs=0.015)
    assert opacity.max().item() == pytest.approx(0.4 / 0.7, rel=1e-5)


def test_only_those_that_stay_get_a_gradient() -> None:
    parameters = alike(200, -1.0)
    thinned = without_some(parameters, 0.5, torch.Generator().manual_seed(1))
    thinned.opacity_logits.sum().backward()
    gradient = parameters.opacity_logits.grad
    assert gradient is not None
    assert torch.equal(gradient != 0, thinned.opacity_logits > -19)


def test_a_solid_gaussian_stays_finite() -> None:
    thinned = without_some(alike(50, 12.0), 0.5, torch.Generator().manual_seed(2))
    assert thinned.opacity_logits.isfinite().all()


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_slopes_are_those_of_autograd(rate: float) -> None:
    logits = torch.linspace(-9, 12, 400, dtype=torch.float64, requires_grad=True)
    stays = torch.rand(400, generator=torch.Generator().manual_seed(3)) >= rate
    raised = (logits.sigmoid() / (1 - rate)).clamp(max=MOST_OPAQUE)
    expected = torch.where(stays, raised.logit(), HIDDEN)
    actual = thinned(logits, rate, torch.Generator().manual_seed(3))
    torch.testing.assert_close(actual.logits, expected.detach())
    torch.testing.assert_close(actual.slopes, torch.autograd.grad(expected.sum(), logits)[0])
