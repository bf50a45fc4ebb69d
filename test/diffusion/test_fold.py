"""Many references become two layers: the best of each pixel first."""

import torch

from reconx_ros.diffusion.small.fold import fold, order, widened
from reconx_ros.structure.conditioning_render import ConditioningRender


def render(
    depth: list[float], covered: list[int], guessed: list[int], certain: list[float]
) -> ConditioningRender:
    """Return one pixel as R references show it; the colour of reference r is r."""

    def layer(values: list[float] | list[int]) -> torch.Tensor:
        return torch.tensor([float(each) for each in values]).view(1, 1, -1, 1, 1, 1)

    color = torch.arange(len(depth)).float().view(1, 1, -1, 1, 1, 1).expand(1, 1, -1, 3, 1, 1)
    return ConditioningRender(color, layer(covered), layer(depth), layer(certain), layer(guessed))


def chosen(one: ConditioningRender) -> list[int]:
    return [int(each) for each in fold(one, order(one)).color[0, 0, :, 0, 0, 0]]


def test_two_references_stay_as_good_as_they_are() -> None:
    both = render([2.0, 2.05], [1, 1], [0, 0], [0.4, 0.9])
    assert chosen(both) == [1, 0]


def test_seen_in_front_beats_guessed_beats_hidden_beats_nothing() -> None:
    assert chosen(render([9.0, 0.0, 2.0, 3.0], [1, 0, 1, 0], [0, 0, 0, 1], [1.0, 0.0, 0.1, 0.5])) == [2, 3]
    assert chosen(render([9.0, 0.0, 0.0, 2.0], [1, 0, 0, 1], [0, 0, 0, 0], [1.0, 0.0, 0.0, 0.1])) == [3, 0]


def test_ties_go_to_the_earlier_reference() -> None:
    assert chosen(render([2.0] * 4, [1] * 4, [0] * 4, [0.5] * 4)) == [0, 1]


def test_all_images_are_folded_alike() -> None:
    torch.manual_seed(0)
    images = [torch.rand(2, 3, 5, channels, 6, 7) for channels in (3, 1, 1, 1, 1)]
    images[1] = (images[1] > 0.4).float()
    images[4] = (images[4] > 0.7).float() * (1 - images[1])
    many = ConditioningRender(*images)
    places = order(many)
    two = fold(many, places)
    assert two.color.shape == (2, 3, 2, 3, 6, 7)
    for layer in range(2):
        for clip, frame, row, column in ((0, 0, 0, 0), (1, 2, 5, 6), (0, 1, 3, 2)):
            at = int(places[clip, frame, layer, 0, row, column])
            torch.testing.assert_close(
                two.color[clip, frame, layer, :, row, column], many.color[clip, frame, at, :, row, column]
            )
            assert (
                two.depth[clip, frame, layer, 0, row, column] == many.depth[clip, frame, at, 0, row, column]
            )


def test_a_single_reference_gets_an_empty_companion() -> None:
    one = render([2.0], [1], [0], [0.5])
    two = widened(one)
    assert two.coverage.flatten().tolist() == [1, 0]
    assert widened(two).color.shape == two.color.shape
