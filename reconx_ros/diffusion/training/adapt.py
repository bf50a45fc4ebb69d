"""Self-supervision: the small model learns from the run's own keyframes what this place looks like.

Each keyframe is predicted from the two others that show most of it: the training of ``loop.py`` on real
frames, with the real sensor's noise, holes and exposures. Keyframes that the contest of ``trust.py`` will
ask about are never predicted, so that it stays honest; they are references only.
"""

import copy
from collections.abc import Collection, Sequence
from time import monotonic

import numpy as np
from torch import Generator
from torch.nn.utils import clip_grad_norm_

from reconx_ros.diffusion.small.clouds import PointNetwork
from reconx_ros.diffusion.small.network import SmallNetwork
from reconx_ros.diffusion.training.augment import augmented
from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.measure import measure
from reconx_ros.diffusion.training.records import Record, record, unpack
from reconx_ros.diffusion.training.state import Training
from reconx_ros.progress import Progress
from reconx_ros.simulation.clips import Clip
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.reference import Reference

CONFIG = TrainingConfig(batch=4, learning_rate=1e-4, ema=0.98)
STAGE = "adapt"


def adapt(
    model: SmallNetwork,
    encoder: PointNetwork | None,
    references: Sequence[Reference],
    untouched: Collection[int],
    size: tuple[int, int],
    seconds: float,
    progress: Progress,
) -> tuple[SmallNetwork, PointNetwork | None, int]:
    """Train copies of the models for ``seconds``.

    Args:
        model: as it ships.
        encoder: of the structure, if there is one.
        references: the run's keyframes with depth; two that see the same as a third are needed.
        untouched: numbers of references that are not predicted.
        size: height, width to learn at.
        seconds: time limit.
        progress: told about each step; asked whether to stop.

    Returns:
        The averaged models and the number of steps; 0 where no three keyframes see the same.
    """
    records = own_records(references, untouched, size)
    training = Training.begin(
        copy.deepcopy(model).train(),
        copy.deepcopy(encoder),
        CONFIG.learning_rate,
        CONFIG.weight_decay,
    )
    began, random = monotonic(), np.random.default_rng(CONFIG.seed)
    while records and (spent := monotonic() - began) < seconds and not progress.cancelled():
        chosen = random.choice(len(records), min(CONFIG.batch, len(records)), replace=False)
        _step(training, [records[number] for number in chosen])
        progress.update(STAGE, round(spent), round(seconds), f"{training.step} steps")
    training.assign(training.average)
    return training.model.eval(), training.encoder, training.step


def own_records(
    references: Sequence[Reference], untouched: Collection[int], size: tuple[int, int]
) -> list[Record]:
    """Return an example for each reference that two others of the same camera show."""
    small = [reference.resized(*size) for reference in references]
    records = []
    for number, target in enumerate(small):
        alike = [
            each
            for at, each in enumerate(small)
            if at != number and np.allclose(each.camera.intrinsics, target.camera.intrinsics)
        ]
        pair = showing(alike, target.camera, 2)
        if number not in untouched and len(pair) == 2:
            records.append(record(_clip(pair, target)))
    return records


def _clip(pair: Sequence[Reference], target: Reference) -> Clip:
    return Clip(
        np.stack([each.image for each in pair]).astype(np.float32) / np.float32(255),
        np.stack([each.depth for each in pair]),
        np.stack([each.camera.world_from_camera for each in pair]),
        target.camera.intrinsics,
        target.image[None].astype(np.float32) / np.float32(255),
        target.depth[None],
        target.camera.world_from_camera[None],
        np.zeros(1, np.bool_),
    )


def _step(training: Training, records: Sequence[Record]) -> None:
    luck = Generator().manual_seed(training.step)
    example = augmented(unpack(records), luck).to(str(next(training.model.parameters()).device))
    done = measure(training, example, CONFIG, luck)
    training.optimiser.zero_grad()
    done.total.backward()  # type: ignore[no-untyped-call]
    clip_grad_norm_([value for _, value in training.named()], CONFIG.clip_norm)
    training.optimiser.step()
    training.step += 1
    training.follow(CONFIG.ema)
