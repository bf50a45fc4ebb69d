"""The training loop: resumable at any step, stopped cleanly by a signal."""

import math
from pathlib import Path

import torch
from torch import Generator
from torch.nn.utils import clip_grad_norm_

from reconx_ros.diffusion.small.clouds import CloudSizes, PointNetwork
from reconx_ros.diffusion.small.network import Sizes, SmallNetwork
from reconx_ros.diffusion.small.weights import load_encoder, load_network, save_part
from reconx_ros.diffusion.training.augment import augmented
from reconx_ros.diffusion.training.config import RunConfig, TrainingConfig
from reconx_ros.diffusion.training.log import Log
from reconx_ros.diffusion.training.losses import Loss
from reconx_ros.diffusion.training.measure import measure
from reconx_ros.diffusion.training.records import unpack
from reconx_ros.diffusion.training.shards import ClipStore, shuffled
from reconx_ros.diffusion.training.state import STATE, Run, Training
from reconx_ros.diffusion.training.team import Team
from reconx_ros.errors import SynthesisError
from reconx_ros.progress import Progress

CONFIG, MODEL, ENCODER = "training.json", "model", "structure_encoder"
LEAST_RATE = 0.02
"""The learning rate at the end, as a share of its highest."""


def train(
    data: Path,
    output: Path,
    config: TrainingConfig,
    resume: bool,
    device: str,
    progress: Progress,
    start: Path | None = None,
) -> Training:
    """Train on the clips in ``data`` until ``config.steps``, or until ``progress`` says stop.

    Writes to ``output``: the state (to go on from), ``log.csv``, ``training.json``, and ``model/`` and
    ``structure_encoder/``, the averaged weights as ``from_pretrained`` reads them.

    Started by ``accelerate launch``, each process takes its share of every step; the first writes.

    Args:
        data: folder of ``prepare``; clips that are added later are used from the next start on.
        output: folder, made if need be.
        config: of the run.
        resume: whether to go on from the state in ``output``, where there is one.
        device: ``cpu`` or ``cuda``.
        progress: told about every step.
        start: folder of another run, whose averaged weights a new run begins with.

    Raises:
        SourceError: no clips in ``data``.
        SynthesisError: ``output`` holds a run and ``resume`` was not asked for.
    """
    team = Team.join(device)
    store = ClipStore(data)
    training = begin(config, team.device, start)
    output.mkdir(parents=True, exist_ok=True)
    if (output / STATE).exists():
        if not resume:
            raise SynthesisError(f"{output} holds a run; go on with --resume, or take another folder")
        training.load(output)
    log = Log(output, config.batch) if team.leads else None
    if log is not None:
        (output / CONFIG).write_text(config.model_dump_json(indent=1))
    while training.step < config.steps and not team.agreed(progress.cancelled()):
        done = advance(training, store, config, team)
        note = f"holes {done.holes_db:+.2f} dB, covered {done.covered_db:+.2f} dB"
        progress.update("train", training.step, config.steps, note)
        if log is not None:
            shown = [float(each.detach()) for each in (done.total, done.holes_db, done.covered_db)]
            log.add(training.step, shown, rate(training.step, config))
            if training.step % config.save_every == 0:
                save(training, output)
    if log is not None:
        log.close(training.step, rate(training.step, config))
        save(training, output)
    return training


def begin(config: TrainingConfig, device: str, start: Path | None = None) -> Training:
    """Return a run of no steps, with weights of the seed or those of ``start``.

    Raises:
        SynthesisError: ``start`` holds no model.
    """
    torch.manual_seed(config.seed)
    model = SmallNetwork(Sizes(widths=config.widths)) if start is None else load_network(start / MODEL)
    found = None if start is None else load_encoder(start / ENCODER)
    encoder = (found or PointNetwork(CloudSizes(width=model.sizes.structure_width))).to(device).train()
    used = encoder if config.structure else None
    if config.structure:
        model.open_structure(config.structure_gate)
    return Training.begin(
        model.to(device).train(), used, config.learning_rate, config.weight_decay, config.structure_rate
    )


def save(training: Training, output: Path) -> None:
    """Write the state and the averaged models."""
    training.save(output)
    own = {name: value.detach().clone() for name, value in training.named()}
    training.assign(training.average)
    save_part(training.model, output / MODEL)
    if training.encoder is not None:
        save_part(training.encoder, output / ENCODER)
    training.assign(own)


def advance(training: Training, store: ClipStore, config: TrainingConfig, team: Team) -> Loss:
    """Do one step; which frames and which guises depends on the seed, the step and the process alone."""
    done = learn(training, store, config, team)
    team.average(value for _, value in training.named())
    move(training, config)
    return done


def learn(training: Training, store: ClipStore, config: TrainingConfig, team: Team) -> Loss:
    """Set the gradients of this process's share of the next step, and return its loss."""
    parts = team.share(parts_of_step(store, config, training.step))
    records = [store.part(clip, frames) for clip, frames in parts]
    generator = Generator().manual_seed(
        config.seed * 1_000_003 + training.step + 1_000_000_007 * team.index
    )
    example = augmented(unpack(records), generator).to(team.device)
    done = measure(training, example, config, generator)
    training.optimiser.zero_grad()
    done.total.backward()  # type: ignore[no-untyped-call]
    return done


def move(training: Run, config: RunConfig) -> None:
    """Take the step that the gradients say, unless one of them is not finite."""
    for group in training.optimiser.param_groups:
        group["lr"] = rate(training.step, config) * group["times"]
    norm = clip_grad_norm_([value for _, value in training.named()], config.clip_norm)
    if bool(torch.isfinite(norm)):
        training.optimiser.step()
    training.step += 1
    training.follow(config.ema)


def parts_of_step(store: ClipStore, config: RunConfig, step: int) -> list[tuple[int, slice]]:
    """Return clips and frames of a step: each clip once an epoch, at a frame that the epoch chooses."""
    clips, parts = len(store), []
    count = min(config.frames, store.frames)
    for place in range(step * config.batch, (step + 1) * config.batch):
        epoch, at = divmod(place, clips)
        clip = shuffled(clips, config.seed, epoch)[at]
        first = (clip + epoch) % (store.frames - count + 1)
        parts.append((clip, slice(first, first + count)))
    return parts


def rate(step: int, config: RunConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine."""
    rising = min(1.0, (step + 1) / max(config.warm_up, 1))
    falling = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * rising * (LEAST_RATE + (1 - LEAST_RATE) * falling)
