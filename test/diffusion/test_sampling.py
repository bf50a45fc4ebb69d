"""Flow matching: noise and its inverse, guidance, grounding, seeds."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.network import Prediction
from reconx_ros.diffusion.small.observation import Observation
from reconx_ros.diffusion.small.points import PointEncoder
from reconx_ros.diffusion.small.sampling import (
    AS_TRAINED,
    NOISE,
    Grounding,
    Guidance,
    grounded,
    guided,
    noised,
    sample,
)
from reconx_ros.diffusion.training.inputs import observation_of, points_of
from reconx_ros.diffusion.training.records import Example
from reconx_ros.structure.encoder import StructureTokens


class Oracle(SmallModel):
    """Knows the truth, and says it whatever the noise."""

    def __init__(self, truth: torch.Tensor) -> None:
        super().__init__(widths=(8, 16, 16, 16))
        self.truth = truth
        self.times: list[float] = []

    def forward(self, seen, structure=None, residual=None, timestep=None, references=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        self.times.append(float(timestep[0]))
        return Prediction(self.truth, torch.zeros_like(self.truth[:, :, :1]))


@pytest.fixture(scope="module")
def seen(example: Example) -> Observation:
    return observation_of(example)


@pytest.fixture(scope="module")
def model() -> SmallModel:
    torch.manual_seed(0)
    made = SmallModel(widths=(8, 16, 16, 16), structure_width=32)
    for value in made.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return made.eval()


@pytest.fixture(scope="module")
def tokens(example: Example) -> StructureTokens:
    torch.manual_seed(1)
    encoder = PointEncoder(tokens=16, width=32, heads=2, points=200)
    with torch.no_grad():
        return encoder(points_of(example), example.reference_pose[:, 0], torch.Generator().manual_seed(0))


def test_noise_at_the_ends_and_between(seen: Observation) -> None:
    residual, noise = torch.rand_like(seen.base), torch.randn_like(seen.base)
    clips = len(residual)
    torch.testing.assert_close(noised(residual, seen.uncertainty, noise, torch.zeros(clips)), residual)
    pure = noised(residual, seen.uncertainty, noise, torch.ones(clips))
    torch.testing.assert_close(pure, NOISE * seen.uncertainty * noise)
    half = noised(residual, seen.uncertainty, noise, torch.full((clips,), 0.5))
    torch.testing.assert_close(half, (residual + pure) / 2)


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_a_model_that_knows_the_truth_is_led_to_it(example: Example, seen: Observation, steps: int) -> None:
    oracle = Oracle(example.truth)
    noise = torch.randn(seen.base.shape, generator=torch.Generator().manual_seed(0))
    made = sample(oracle, FlowMatchEulerDiscreteScheduler(), seen, None, noise, steps, AS_TRAINED)
    assert made is not None
    torch.testing.assert_close(made.image, example.truth)
    # Times fall in equal steps from pure noise; the last one leaves 1 / steps of it to remove.
    assert oracle.times == pytest.approx([1 - step / steps for step in range(steps)], abs=1e-5)


def test_a_sample_stops_between_steps_when_asked(model: SmallModel, seen: Observation) -> None:
    asked = iter([True, True, False])
    noise = torch.zeros_like(seen.base)
    with torch.no_grad():
        made = sample(
            model,
            FlowMatchEulerDiscreteScheduler(),
            seen,
            None,
            noise,
            4,
            AS_TRAINED,
            None,
            lambda: next(asked),
        )
    assert made is None


def test_guidance_of_one_is_the_model_and_moves_along_what_it_guides(
    model: SmallModel, seen: Observation, tokens: StructureTokens
) -> None:
    with torch.no_grad():
        plain, full = model(seen).image, model(seen, tokens).image
        nothing = torch.zeros(len(seen.base), dtype=torch.bool)
        alone = model(seen, references=nothing).image
        torch.testing.assert_close(guided(model, seen, tokens, AS_TRAINED).image, full)
        torch.testing.assert_close(guided(model, seen, tokens, Guidance(structure=0)).image, plain)
        double = guided(model, seen, tokens, Guidance(structure=2)).image
        strong = guided(model, seen, tokens, Guidance(references=3)).image
    assert not torch.equal(plain, full)
    assert not torch.equal(plain, alone)
    torch.testing.assert_close(double, plain + 2 * (full - plain))
    torch.testing.assert_close(strong, alone + 3 * (plain - alone) + (full - plain))


def test_grounding_pulls_toward_the_map_by_its_alpha(example: Example, seen: Observation) -> None:
    image = cropped(seen.base, seen.margin)
    alpha = torch.zeros_like(image[:, :, :1])
    alpha[..., :10] = 1.0
    alpha[..., 10:20] = 0.5
    pulled = grounded(Prediction(image, alpha), Grounding(example.truth, alpha)).image
    torch.testing.assert_close(pulled[..., :10], example.truth[..., :10])
    torch.testing.assert_close(pulled[..., 10:20], (image + example.truth)[..., 10:20] / 2)
    torch.testing.assert_close(pulled[..., 20:], image[..., 20:])
