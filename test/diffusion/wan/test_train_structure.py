"""The structure branch trained beside a frozen Wan-VACE of the real classes, tiny, on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reconx_ros.diffusion.training.shards import ClipStore, prepare
from reconx_ros.diffusion.training.state import STATE
from reconx_ros.diffusion.wan.flow import flow_loss, latents_of
from reconx_ros.diffusion.wan.lesson import lesson
from reconx_ros.diffusion.wan.synthesizer import WanVaceSynthesizer
from reconx_ros.diffusion.wan.train_config import StructureTrainingConfig
from reconx_ros.diffusion.wan.train_structure import (
    WEIGHTS,
    begin,
    frozen,
    learn,
    most_whole,
    train_structure,
)
from reconx_ros.errors import SynthesisError
from reconx_ros.progress import Silent
from reconx_ros.simulation.clips import ClipConfig
from reconx_ros.structure.encoder import EncoderConfig

from .tiny import cloud_of, config, scene

SMALL = EncoderConfig(tokens=8, width=16, heads=2, frequencies=3)
QUICK = StructureTrainingConfig(
    steps=6, batch=1, learning_rate=1e-2, warm_up=0, ema=0.0, gate=0.5, encoder=SMALL, save_every=4
)


class StopAfter(Silent):
    """Ask to stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def cancelled(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("clips")
    prepare(where, 1, ClipConfig(size=(32, 48), frames=6, clips=1), 60, Silent(), scenes=1)
    return where


def test_a_lesson_is_what_filming_is_given(clips: Path) -> None:
    taught = lesson(ClipStore(clips).part(0, slice(0, 5)), 2)
    assert taught.truth.shape == taught.given.image.shape == (5, 3, 32, 48)
    assert [image.size for image in taught.images] == [(48, 32)] * 2
    known = taught.given.known.expand_as(taught.truth) > 0
    assert 0.2 < known.float().mean() < 1
    away = (taught.truth - taught.given.image).abs()
    assert away[known].median() < 0.05  # the render shows the very scene, at the very exposure


def test_latents_are_those_that_diffusers_makes(folder: Path, cache: Path, clips: Path) -> None:
    """What the pipeline hands its transformer while it films is what the branch is trained on."""
    film = frozen(config(folder, cache), "cpu")
    taught = lesson(ClipStore(clips).part(0, slice(0, 5)), 2)
    latents, seen = latents_of(film.pipeline, taught), []
    film.pipeline.transformer.register_forward_pre_hook(
        lambda _, __, given: seen.append(given), with_kwargs=True
    )
    film(taught.given, taught.images, None, 0, lambda _: True)
    assert torch.equal(latents.control, seen[0]["control_hidden_states"])
    assert latents.clean.shape == seen[0]["hidden_states"].shape
    assert latents.images == 2
    alone = film.pipeline.vae.encode(2 * taught.truth[None].transpose(1, 2) - 1).latent_dist.mode()
    mean, std = (
        torch.tensor(film.pipeline.vae.config[name]).view(1, -1, 1, 1, 1)
        for name in ("latents_mean", "latents_std")
    )
    torch.testing.assert_close(latents.clean[:, :, 2:], (alone - mean) / std, rtol=1e-4, atol=1e-4)


def test_the_loss_of_a_model_that_knows_is_nothing(folder: Path, cache: Path, clips: Path) -> None:
    """v = ε − x by hand: a transformer that answers it has no loss, one that answers 0 the mean square."""
    film = frozen(config(folder, cache), "cpu")
    latents = latents_of(film.pipeline, lesson(ClipStore(clips).part(0, slice(0, 5)), 1))
    luck = torch.Generator().manual_seed(3)
    u = torch.rand(1, generator=luck)
    noise = torch.randn(latents.clean.shape, generator=luck)
    sigma = 3 * u / (1 + 2 * u)
    told = []

    def knowing(_: object, __: object, given: dict[str, torch.Tensor], ___: object) -> tuple[torch.Tensor]:
        told.append(given["timestep"])
        return ((given["hidden_states"] - latents.clean) / sigma,)  # x_σ − x = σ (ε − x)

    film.pipeline.transformer.register_forward_hook(knowing, with_kwargs=True)
    found = flow_loss(film.pipeline, film.prompt, latents, 3.0, torch.Generator().manual_seed(3))
    assert found < 1e-9
    torch.testing.assert_close(told[0], 1000 * sigma)
    film.pipeline.transformer.register_forward_hook(
        lambda _, __, said: (torch.zeros_like(said[0]),), prepend=False
    )
    zero = flow_loss(film.pipeline, film.prompt, latents, 3.0, torch.Generator().manual_seed(3))
    torch.testing.assert_close(zero, (noise - latents.clean)[:, :, 1:].square().mean())


def test_it_overfits_a_clip_with_the_base_untouched(folder: Path, cache: Path, clips: Path) -> None:
    film = frozen(config(folder, cache), "cpu")
    base = {name: value.clone() for name, value in film.pipeline.transformer.state_dict().items()}
    run = begin(film, QUICK)
    taught = lesson(ClipStore(clips).part(0, slice(0, 5)), 2)
    latents = latents_of(film.pipeline, taught)
    losses = []
    for _ in range(30):
        tokens = run.branch.encode(taught.cloud, taught.first).tokens
        luck = torch.Generator().manual_seed(0)
        run.optimiser.zero_grad()
        with run.branch.showing(tokens):
            loss = flow_loss(film.pipeline, film.prompt, latents, 3.0, luck)
            loss.backward()
        run.optimiser.step()
        losses.append(loss.item())
    plain = flow_loss(film.pipeline, film.prompt, latents, 3.0, torch.Generator().manual_seed(0))
    assert losses[-1] < 0.8 * losses[0]
    assert losses[-1] < 0.9 * plain.item()
    assert all(value.grad is not None for _, value in run.named())
    after = film.pipeline.transformer.state_dict()
    assert all(torch.equal(after[name], value) for name, value in base.items())


def test_half_precision_teaches_a_branch_of_float32(folder: Path, cache: Path, clips: Path) -> None:
    """As on a GPU: the base in bfloat16, what is trained and its gradients in float32."""
    gradients = []
    for dtype in ("fp32", "bf16"):
        film = frozen(config(folder, cache, dtype=dtype), "cpu")
        run = begin(film, QUICK)
        loss = learn(film, run, ClipStore(clips), QUICK.model_copy(update={"frames": 5}))
        assert np.isfinite(loss)
        assert all(value.dtype == torch.float32 for _, value in run.named())
        gradients.append(torch.cat([value.grad.flatten() for _, value in run.named()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98


def test_checkpointed_gradients_are_the_plain_ones(folder: Path, cache: Path, clips: Path) -> None:
    gradients = []
    for checkpointed in (True, False):
        film = frozen(config(folder, cache), "cpu")
        if not checkpointed:
            film.pipeline.transformer.disable_gradient_checkpointing()
        run = begin(film, QUICK)
        taught = lesson(ClipStore(clips).part(0, slice(0, 5)), 2)
        with run.branch.showing(run.branch.encode(taught.cloud, taught.first).tokens):
            luck = torch.Generator().manual_seed(0)
            flow_loss(film.pipeline, film.prompt, latents_of(film.pipeline, taught), 3.0, luck).backward()
        gradients.append([value.grad for _, value in run.named()])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


def test_a_run_goes_on_to_the_bit_and_its_weights_are_filmed_with(
    folder: Path, cache: Path, clips: Path, tmp_path: Path
) -> None:
    how = config(folder, cache)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_structure(how, clips, whole, QUICK, False, "cpu", Silent())
    stopped = train_structure(how, clips, parts, QUICK, False, "cpu", StopAfter(3))
    assert stopped.step == 3
    with pytest.raises(SynthesisError, match="holds a run; go on with --resume"):
        train_structure(how, clips, parts, QUICK, False, "cpu", Silent())
    assert train_structure(how, clips, parts, QUICK, True, "cpu", Silent()).step == 6
    for file in (STATE, WEIGHTS):
        one, two = load_file(whole / file), load_file(parts / file)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one), file
    assert (whole / "log.csv").read_text().startswith("step,loss,learning_rate,frames_per_s\n6,")

    references, _, path = scene(5)
    cloud = cloud_of(references[:1])
    plain, taught = (
        WanVaceSynthesizer.load(config(folder, cache, structure=weights), "cpu").generate(
            references[:1], cloud, path, Silent()
        )[2]
        for weights in (None, whole / WEIGHTS)
    )
    assert not np.array_equal(plain.image, taught.image)
    assert np.array_equal(plain.seen, taught.seen)


@pytest.mark.parametrize(("frames", "whole"), [(1, 1), (4, 1), (5, 5), (16, 13), (17, 17)])
def test_the_longest_clip_that_the_model_takes(frames: int, whole: int) -> None:
    assert most_whole(frames) == whole
