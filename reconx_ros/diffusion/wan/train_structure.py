"""Training of the structure branch alone: encoder, attentions and gates; Wan-VACE itself is frozen."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import atanh
from pathlib import Path

import torch
from torch import Generator, nn
from torch.optim import AdamW

from reconx_ros.diffusion.training.log import Log
from reconx_ros.diffusion.training.loop import CONFIG, move, parts_of_step, rate
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.diffusion.training.state import STATE, Run
from reconx_ros.diffusion.wan.config import TIME_STRIDE, WanConfig
from reconx_ros.diffusion.wan.film import Film
from reconx_ros.diffusion.wan.flow import flow_loss, latents_of
from reconx_ros.diffusion.wan.lesson import lesson
from reconx_ros.diffusion.wan.load import located
from reconx_ros.diffusion.wan.memory import memory_named
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.structure_weights import save_structure
from reconx_ros.diffusion.wan.studio import open_film
from reconx_ros.diffusion.wan.train_config import StructureTrainingConfig
from reconx_ros.errors import SynthesisError
from reconx_ros.progress import Progress

WEIGHTS = "structure.safetensors"
STAGE = "train structure"


@dataclass(eq=False)
class StructureRun(Run):
    """A structure branch between two steps."""

    branch: StructureBranch = field(kw_only=True)

    def named(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Iterate over everything that is trained."""
        return self.branch.named_parameters()


def train_structure(
    wan: WanConfig,
    data: Path,
    output: Path,
    config: StructureTrainingConfig,
    resume: bool,
    device: str,
    progress: Progress,
) -> StructureRun:
    """Train on the clips in ``data`` until ``config.steps``, or until ``progress`` says stop.

    Writes to ``output``: the state (to go on from, bit for bit), ``log.csv``, ``training.json``, and
    ``structure.safetensors``: the averaged branch, for ``synthesis.wan.structure``.

    Args:
        wan: names the model, its precision, prompt and flow shift.
        data: folder of ``train prepare``.
        output: folder, made if need be.
        config: of the run.
        resume: whether to go on from the state in ``output``, where there is one.
        device: ``cpu`` or ``cuda``.
        progress: told about every step.

    Raises:
        SourceError: no clips in ``data``.
        SynthesisError: ``output`` holds a run and ``resume`` was not asked for, or another run's; the
            model cannot be loaded (``WanVaceSynthesizer.load``); memory ran out.
    """
    store = ClipStore(data)
    if (output / STATE).exists() and not resume:
        raise SynthesisError(f"{output} holds a run; go on with --resume, or take another folder")
    config = config.model_copy(update={"frames": most_whole(min(config.frames, store.frames))})
    film = frozen(wan, device)
    run = begin(film, config)
    output.mkdir(parents=True, exist_ok=True)
    if (output / STATE).exists():
        run.load(output)
    (output / CONFIG).write_text(config.model_dump_json(indent=1))
    log = Log(output, config.batch, ("loss",))
    while run.step < config.steps and not progress.cancelled():
        with memory_named(film.config, film.mode):
            loss = learn(film, run, store, config)
        move(run, config)
        progress.update(STAGE, run.step, config.steps, f"flow loss {loss:.4f}")
        log.add(run.step, [loss], rate(run.step, config))
        if run.step % config.save_every == 0:
            save(run, output)
    log.close(run.step, rate(run.step, config))
    save(run, output)
    return run


def most_whole(frames: int) -> int:
    """Return the greatest 4k + 1 that is at most ``frames``."""
    return (frames - 1) // TIME_STRIDE * TIME_STRIDE + 1


def frozen(wan: WanConfig, device: str) -> Film:
    """Open the model to be trained beside: all of it on ``device``, activations computed twice.

    Raises:
        SynthesisError: see ``WanVaceSynthesizer.load``.
    """
    alone = {"structure": None, "guidance": 1.0, "memory": "none"}
    wan = wan.model_copy(update=alone)
    film = open_film(located(wan.model), wan, device)
    for part in (film.pipeline.transformer, film.pipeline.vae):
        part.requires_grad_(False)
    film.pipeline.transformer.enable_gradient_checkpointing()
    return film


def begin(film: Film, config: StructureTrainingConfig) -> StructureRun:
    """Return a run of no steps, its branch, float32 with weights of the seed, installed in ``film``."""
    torch.manual_seed(config.seed)
    transformer = film.pipeline.transformer
    branch = StructureBranch.for_transformer(transformer, config.encoder)
    for name, value in branch.named_parameters():
        if name.endswith("gate.weight"):
            nn.init.constant_(value, atanh(config.gate))
    branch.to(transformer.device).install(transformer)
    groups = [{"params": list(branch.parameters()), "times": 1.0}]
    optimiser = AdamW(groups, config.learning_rate, (0.9, 0.99), weight_decay=config.weight_decay)
    average = {name: value.detach().clone() for name, value in branch.named_parameters()}
    return StructureRun(optimiser, average, branch=branch)


def learn(film: Film, run: StructureRun, store: ClipStore, config: StructureTrainingConfig) -> float:
    """Set the gradients of the next step; return its loss. Seed and step alone say what is learnt from."""
    luck = Generator().manual_seed(config.seed * 1_000_003 + run.step)
    device, total = str(film.pipeline.transformer.device), 0.0
    run.optimiser.zero_grad()
    for number, frames in parts_of_step(store, config, run.step):
        taught = lesson(store.part(number, frames), config.reference_images, device)
        latents = latents_of(film.pipeline, taught)
        tokens = run.branch.encode(taught.cloud, taught.first).tokens
        with run.branch.showing(tokens):  # until the gradients are there: activations are computed twice
            loss = flow_loss(film.pipeline, film.prompt, latents, film.config.flow_shift, luck)
            (loss / config.batch).backward()  # type: ignore[no-untyped-call]
        total += loss.item() / config.batch
    return total


def save(run: StructureRun, output: Path) -> None:
    """Write the state and the averaged branch."""
    run.save(output)
    own = {name: value.detach().clone() for name, value in run.named()}
    run.assign(run.average)
    save_structure(run.branch, output / WEIGHTS)
    run.assign(own)
