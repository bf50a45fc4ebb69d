"""Our call against diffusers' own, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanVACEPipeline
from PIL import Image

from reconx_ros.diffusion.wan.conditions import Conditions, conditions
from reconx_ros.diffusion.wan.film import Film, NotFinite, Stopped
from reconx_ros.diffusion.wan.load import shifted
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.structure_guidance import conditional_weight
from reconx_ros.diffusion.wan.studio import open_film
from reconx_ros.structure.encoder import EncoderConfig

from .tiny import config, nowhere, scene

SMALL = EncoderConfig(tokens=8, width=16, heads=2, frequencies=3)


@pytest.fixture(scope="module")
def given() -> Conditions:
    references, cloud, path = scene(5)
    small = [camera.resized(64, 32) for camera in path.cameras]
    return conditions(references[:1], small, nowhere(cloud))


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [Image.fromarray(each.resized(32, 64).image) for each in scene()[0]]


def going_on(_: int) -> bool:
    return True


def direct(
    folder: Path, film: Film, given: Conditions, images: list[Image.Image], **changes: object
) -> torch.Tensor:
    """Call diffusers as its documentation does, text encoder and all."""
    pipeline = WanVACEPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = film.pipeline.scheduler
    unknown = given.known == 0
    arguments: dict[str, object] = {
        "prompt": film.config.prompt,
        "negative_prompt": film.config.negative_prompt,
        "video": given.image.masked_fill(unknown, 0.5)[None],
        "mask": unknown.float()[None],
        "reference_images": images,
        "height": 32,
        "width": 64,
        "num_frames": 5,
        "num_inference_steps": 2,
        "guidance_scale": film.config.guidance,
        "generator": torch.Generator().manual_seed(3),
        "output_type": "pt",
    }
    return pipeline(**{**arguments, **changes}).frames[0]


def test_equals_a_direct_call(
    folder: Path, cache: Path, given: Conditions, images: list[Image.Image]
) -> None:
    assert 0.05 < (given.known == 0).float().mean() < 0.5
    film = open_film(folder, config(folder, cache), "cpu")
    assert film.pipeline.text_encoder is None
    assert film.pipeline.scheduler.config.flow_shift == 3.0
    ours = film(given, images, None, 3, going_on)
    assert ours.shape == (5, 3, 32, 64)
    assert torch.equal(ours, direct(folder, film, given, images))
    assert torch.equal(ours, film(given, images, None, 3, going_on))
    assert not torch.equal(ours, film(given, images, None, 4, going_on))


def test_equals_a_direct_call_without_guidance_or_images_and_with_another_scheduler(
    folder: Path, cache: Path, given: Conditions
) -> None:
    film = open_film(folder, config(folder, cache, guidance=1.0, conditioning=0.6, steps=1), "cpu")
    assert film.negative is None
    film.pipeline.scheduler = shifted(FlowMatchEulerDiscreteScheduler(shift=1.0), 3.0)
    assert film.pipeline.scheduler.config.shift == 3.0
    ours = film(given, [], None, 3, going_on)
    changes = {"reference_images": None, "conditioning_scale": 0.6, "num_inference_steps": 1}
    assert torch.equal(ours, direct(folder, film, given, [], **changes))


def with_branch(film: Film, gate: float) -> tuple[Film, torch.Tensor]:
    from dataclasses import replace

    torch.manual_seed(2)
    branch = StructureBranch.for_transformer(film.pipeline.transformer, SMALL).requires_grad_(False)
    for each in branch.attentions:
        each.gate.weight.fill_(gate)
    branch.install(film.pipeline.transformer)
    references, cloud, _ = scene()
    return replace(film, branch=branch), branch.encode(cloud, references[0].camera).tokens


@pytest.mark.parametrize("structure_guidance", [None, 2.0, 0.0])
def test_a_closed_gate_equals_a_direct_call(
    folder: Path,
    cache: Path,
    given: Conditions,
    images: list[Image.Image],
    structure_guidance: float | None,
) -> None:
    how = config(folder, cache, structure_guidance=structure_guidance)
    film, tokens = with_branch(open_film(folder, how, "cpu"), 0.0)
    assert torch.equal(film(given, images, tokens, 3, going_on), direct(folder, film, given, images))


def test_structure_is_guided_apart(folder: Path, cache: Path, given: Conditions) -> None:
    """With s = 0 nothing of an open gate is left; s = g is one conditional pass; between is between."""

    def filmed(strength: float | None, tokens_too: bool = True) -> torch.Tensor:
        how = config(folder, cache, structure_guidance=strength, steps=1)
        film, tokens = with_branch(open_film(folder, how, "cpu"), 1.0)
        return film(given, [], tokens if tokens_too else None, 3, going_on)

    plain = filmed(None, tokens_too=False)
    assert torch.equal(filmed(0.0), plain)
    assert torch.equal(filmed(5.0), filmed(None))
    assert not torch.equal(filmed(5.0), plain)
    assert not torch.equal(filmed(2.0), filmed(5.0))


def test_three_passes_make_the_formula(folder: Path, cache: Path) -> None:
    from reconx_ros.diffusion.wan.structure_guidance import structure_guided

    film, tokens = with_branch(open_film(folder, config(folder, cache), "cpu"), 1.0)
    transformer = film.pipeline.transformer
    torch.manual_seed(0)
    latents, control = torch.randn(1, 16, 2, 4, 8), torch.randn(1, 96, 2, 4, 8)

    def noise(text: torch.Tensor) -> torch.Tensor:
        return transformer(
            latents, torch.tensor([500]), text, control_hidden_states=control, return_dict=False
        )[0]

    g, s = 5.0, 2.0
    with torch.no_grad():
        empty, blind = noise(film.negative), noise(film.prompt)
        with film.branch.showing(tokens):
            seen = noise(film.prompt)
        with structure_guided(transformer, film.branch, tokens, conditional_weight(g, s)):
            with transformer.cache_context("cond"):
                conditional = noise(film.prompt)
            with transformer.cache_context("uncond"):
                unconditional = noise(film.negative)
        assert torch.equal(unconditional, empty)
        wanted = empty + g * (blind - empty) + s * (seen - blind)
        assert (seen - blind).abs().max() > 1e-2
        torch.testing.assert_close(unconditional + g * (conditional - unconditional), wanted)
        assert torch.equal(noise(film.prompt), blind)
    assert "forward" not in vars(transformer)
    assert "cache_context" not in vars(transformer)


@pytest.mark.parametrize(
    ("guidance", "structure", "weight"), [(5, None, 1), (5, 5, 1), (5, 2, 0.4), (1, None, 1), (0, 3, 3)]
)
def test_weight_of_the_conditional_pass(guidance: float, structure: float | None, weight: float) -> None:
    assert conditional_weight(guidance, structure) == pytest.approx(weight)


def test_stops_between_steps(folder: Path, cache: Path, given: Conditions) -> None:
    film = open_film(folder, config(folder, cache, steps=3), "cpu")
    told: list[int] = []

    def once(done: int) -> bool:
        told.append(done)
        return done < 2

    with pytest.raises(Stopped):
        film(given, [], None, 0, once)
    assert told == [1, 2]
    assert torch.isfinite(film(given, [], None, 0, going_on)).all()


def test_nan_is_found_at_the_first_step(
    folder: Path, cache: Path, given: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = open_film(folder, config(folder, cache), "cpu")
    film.pipeline.transformer.proj_out.weight.data[0] = torch.nan
    told: list[int] = []
    step: Callable[[int], bool] = lambda done: told.append(done) is None  # noqa: E731
    with pytest.raises(NotFinite, match="after step 1"):
        film(given, [], None, 0, step)
    assert told == []
