import pytest
import torch

from reconx_ros.diffusion.wan.clips import windows
from reconx_ros.diffusion.wan.conditions import Conditions
from reconx_ros.diffusion.wan.doubt import LEAST
from reconx_ros.diffusion.wan.roll import Roll, Take, take


def level(value: float, frames: int, seen: float = 0.0) -> Take:
    one = torch.ones(frames, 1, 8, 16)
    return Take(one.expand(-1, 3, -1, -1) * value, 0.1 * one, 2 * one, seen * one, {})


def test_windows_fade_into_each_other_and_what_they_disagree_in_is_doubt() -> None:
    first, second = windows(9, 5, 4)[:2]
    assert (second.start, second.stop, second.shared) == (1, 6, 4)
    roll = Roll()
    roll.add(first, level(0.2, 5))
    roll.add(second, level(0.6, 5))
    assert len(roll) == 6
    values = [float(image.mean()) for image in roll.image]
    assert values == pytest.approx([0.2, 0.2, 0.3, 0.4, 0.5, 0.6])
    # Two draws that differ by 0.4: variance 0.08, and σ² grows by twice that; the handed-over frame: none.
    errors = [float(error.mean()) for error in roll.error]
    doubtful = (0.1**2 + 0.16) ** 0.5
    assert errors == pytest.approx([0.1, 0.1, doubtful, doubtful, doubtful, 0.1])


def test_where_a_view_shows_the_pixel_windows_that_differ_change_no_confidence() -> None:
    roll = Roll()
    first, second = windows(8, 5, 2)
    roll.add(first, level(0.2, 5, 1.0))
    roll.add(second, level(0.6, 5, 1.0))
    assert len(roll) == 8
    torch.testing.assert_close(torch.stack(roll.error), torch.full((8, 1, 8, 16), 0.1))


def conditions_of(known: torch.Tensor, real: dict[int, int]) -> Conditions:
    image = torch.rand(len(known), 3, 32, 48, generator=torch.Generator().manual_seed(0))
    return Conditions(image * known, known, known, 3 * known, real)


def test_a_take_keeps_what_is_known_and_is_sure_of_real_frames() -> None:
    known = torch.ones(5, 1, 32, 48)
    known[1:4, ..., 24:] = 0
    given = conditions_of(known, {0: 0, 4: 1})
    draws = [torch.rand(5, 3, 32, 48, generator=torch.Generator().manual_seed(n)) for n in (1, 2)]
    one, two = take(given, draws[:1], 0), take(given, draws, 0)
    for made in (one, two):
        assert torch.equal(made.image[known.expand(-1, 3, -1, -1) > 0], given.image[given.image > 0])
        assert (made.error[[0, 4]] == LEAST).all()
        torch.testing.assert_close(made.depth, torch.full_like(made.depth, 3.0))
    assert torch.equal(one.image, two.image)
    hole = known[1:4] == 0
    assert (two.error[1:4][hole] > one.error[1:4][hole]).all()
    assert torch.equal(two.error[1:4][~hole], one.error[1:4][~hole])


def test_padding_is_dropped() -> None:
    (window,) = windows(3, 33, 5)
    roll = Roll()
    made = level(0.5, 5)
    roll.add(window, Take(made.image, made.error, made.depth, made.seen, {0: 0, 2: 1, 3: 1, 4: 1}))
    assert len(roll) == 3
    assert roll.real == {0: 0, 2: 1}
