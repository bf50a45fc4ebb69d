"""Observations without what the network makes no use of."""

import torch

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.lean import MARGIN, TOKEN_WIDTH, lean
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.observation import Observation
from reconx_ros.diffusion.training.inputs import observation_of
from reconx_ros.diffusion.training.records import Example


def wide(seen: Observation, times: int) -> Observation:
    """Return the observation with every pixel ``times`` by ``times`` pixels."""

    def larger(image: torch.Tensor) -> torch.Tensor:
        return image.repeat_interleave(times, -1).repeat_interleave(times, -2)

    images = {name: larger(value) for name, value in vars(seen).items() if getattr(value, "ndim", 0) >= 4}
    rows, columns = seen.margin
    return Observation(**{**vars(seen), **images, "margin": (rows * times, columns * times)})


def test_what_is_left_is_the_middle_of_what_there_was(example: Example) -> None:
    seen = wide(observation_of(example), 4)
    less = lean(seen)
    assert less.margin == (MARGIN, MARGIN)
    for name in ("base", "matched", "taken", "planes", "uncertainty", "distance", "points"):
        whole, few = (cropped(getattr(each, name), each.margin) for each in (seen, less))
        assert torch.equal(whole, few), name
    assert less.reference_planes.shape[-1] == TOKEN_WIDTH
    # Each pixel was repeated, so averaging them gives them back.
    torch.testing.assert_close(less.reference_planes, wide(observation_of(example), 2).reference_planes)


def test_a_small_observation_stays_as_it_is(example: Example) -> None:
    seen = observation_of(example)
    small = Observation(**{**vars(seen)})
    assert max(small.margin) <= MARGIN
    less = lean(small)
    assert torch.equal(less.planes, seen.planes)
    assert torch.equal(less.reference_planes, seen.reference_planes)


def test_the_untrained_model_gives_the_same_fill(example: Example) -> None:
    torch.manual_seed(0)
    model, seen = SmallModel(widths=(8, 16, 16, 16)), wide(observation_of(example), 3)
    with torch.no_grad():
        torch.testing.assert_close(model(lean(seen)).image, model(seen).image, atol=0.02, rtol=0)
