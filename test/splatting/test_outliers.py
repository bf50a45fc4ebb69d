import pytest
import torch

from reconx_ros.splatting.loss import Target
from reconx_ros.splatting.outliers import BLOCK, LEAST, trusted


def off_by(error: torch.Tensor, weight: torch.Tensor | None = None) -> tuple[torch.Tensor, Target]:
    """A render and the target that it misses by ``error`` [H, W]."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(*error.shape, 3, generator=generator)
    sign = torch.where(torch.rand(*error.shape, 3, generator=generator) < 0.5, -1, 1)
    target = Target(image, torch.ones(error.shape) if weight is None else weight, None)
    return (image + sign * error[..., None]).requires_grad_(), target


def test_the_pull_of_a_block_falls_beyond_the_limit() -> None:
    error = torch.full((3 * BLOCK, 4 * BLOCK), 0.02)
    error[BLOCK : 2 * BLOCK, :BLOCK] = 0.2
    error[:BLOCK, :BLOCK] = 0.05
    color, target = off_by(error)
    torch.testing.assert_close(trusted(color, target, 3.0).weight, (0.06 / error).clamp(max=1))


def test_single_pixels_count_as_their_block_does() -> None:
    error = torch.full((2 * BLOCK, 2 * BLOCK), 0.02)
    error[1, 1] = 0.3
    weight = trusted(*off_by(error), 1.0).weight
    mean = (0.02 * (BLOCK**2 - 1) + 0.3) / BLOCK**2
    torch.testing.assert_close(weight[:BLOCK, :BLOCK], torch.full((BLOCK, BLOCK), 0.02 / mean))
    torch.testing.assert_close(weight[BLOCK:], torch.ones(BLOCK, 2 * BLOCK))


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (9, 3), (10, 13)])
def test_any_size_keeps_its_weights_where_all_is_alike(size: tuple[int, int]) -> None:
    weight = torch.rand(size, generator=torch.Generator().manual_seed(1))
    color, target = off_by(torch.full(size, 0.1), weight)
    torch.testing.assert_close(trusted(color, target, 2.0).weight, weight)


def test_what_has_no_weight_says_nothing_of_the_others() -> None:
    error, weight = torch.full((4 * BLOCK, 4 * BLOCK), 0.5), torch.zeros(4 * BLOCK, 4 * BLOCK)
    error[:BLOCK], weight[:BLOCK] = 0.01, 1
    error[:BLOCK, :BLOCK] = 0.1
    found = trusted(*off_by(error, weight), 2.0).weight
    torch.testing.assert_close(found[:BLOCK, :BLOCK], torch.full((BLOCK, BLOCK), 0.2))
    torch.testing.assert_close(found[:BLOCK, BLOCK:], weight[:BLOCK, BLOCK:])
    color, blind = off_by(error, torch.zeros_like(weight))
    assert trusted(color, blind, 2.0) is blind


def test_a_map_that_shows_the_view_keeps_all_weights() -> None:
    color, target = off_by(torch.zeros(3 * BLOCK, 3 * BLOCK))
    assert (trusted(color, target, 2.0).weight == 1).all()
    color, target = off_by(torch.full((3 * BLOCK, 3 * BLOCK), LEAST / 2))
    assert (trusted(color, target, 1.0).weight == 1).all()
