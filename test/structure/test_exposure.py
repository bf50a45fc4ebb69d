import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.structure.conditioning_render import ConditioningRender
from reconx_ros.structure.exposure import estimate_exposure

H, W = 24, 40


def render(
    second: torch.Tensor, first: torch.Tensor, depth: torch.Tensor | None = None
) -> ConditioningRender:
    color = torch.stack([first, second])[None, None]
    ones = torch.ones(1, 1, 2, 1, H, W)
    return ConditioningRender(color, ones, ones if depth is None else depth, ones, torch.zeros_like(ones))


def scene(seed: int) -> torch.Tensor:
    return 0.15 + 0.6 * torch.rand(3, H, W, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=30)
@given(st.floats(0.75, 1.25), st.floats(-0.04, 0.04), st.integers(0, 1000))
def test_recovers_gain_and_bias(gain: float, bias: float, seed: int) -> None:
    first = scene(seed)
    found = estimate_exposure(render((first - bias) / gain, first))
    assert (found.gain[0, 1] - gain).abs().max() < 1e-3
    assert (found.bias[0, 1] - bias).abs().max() < 1e-3
    assert (found.gain[0, 0] == 1).all()
    assert (found.bias[0, 0] == 0).all()


def test_wrong_pixels_and_another_surface_do_not_count() -> None:
    """A fifth of the pixels shows something else, another fifth something behind."""
    first = scene(1)
    second = (first - 0.03) / 1.2
    second[:, :, :8] = scene(2)[:, :, :8]
    second[:, :, 8:16] *= 0.5
    depth = torch.ones(1, 1, 2, 1, H, W)
    depth[:, :, 1, :, :, 8:16] = 1.5
    found = estimate_exposure(render(second, first, depth))
    assert (found.gain[0, 1] - 1.2).abs().max() < 1e-3
    assert (found.bias[0, 1] - 0.03).abs().max() < 1e-3


def test_noise_on_both_sides_does_not_shrink_the_gain() -> None:
    generator = torch.Generator().manual_seed(0)
    first = scene(3)
    noise = 0.05 * torch.randn(2, 3, H, W, generator=generator)
    found = estimate_exposure(render(first / 1.1 + noise[1] / 1.1, first + noise[0]))
    assert (found.gain[0, 1] - 1.1).abs().max() < 0.03


def test_swapping_the_references_inverts_the_change() -> None:
    first = scene(4)
    second = ((first - 0.02) / 1.3).square()
    there, back = estimate_exposure(render(second, first)), estimate_exposure(render(first, second))
    torch.testing.assert_close(there.gain[0, 1] * back.gain[0, 1], torch.ones(3), atol=2e-2, rtol=0)


def test_bare_wall_matches_the_means_only() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(2, 3, H, W, generator=generator)
    found = estimate_exposure(render(0.4 + noise[0], 0.5 + noise[1]))
    assert (found.gain == 1).all()
    assert (found.bias[0, 1] - 0.1).abs().max() < 2e-3


def test_nothing_in_common_changes_nothing() -> None:
    one = render(scene(5), scene(6))
    one.coverage[:, :, 1, :, :, : W // 2] = 0
    one.coverage[:, :, 0, :, :, W // 2 - 1 :] = 0
    found = estimate_exposure(one)
    assert found.matched.tolist() == [[True, False]]
    assert torch.equal(one.exposed(found).color, one.color * one.coverage)


def test_apply_and_undo_are_inverse() -> None:
    one = render(scene(7), scene(8).sqrt())
    exposed = one.exposed(estimate_exposure(one))
    assert not torch.allclose(exposed.color, one.color)
    torch.testing.assert_close(exposed.unexposed().color, one.color)
