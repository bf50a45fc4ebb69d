"""One prediction of a training example, and its loss."""

import torch
from torch import Generator

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.half import half_pays
from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.inputs import disturbed, observation_of, points_of
from reconx_ros.diffusion.training.losses import Loss, loss
from reconx_ros.diffusion.training.records import Example
from reconx_ros.diffusion.training.state import Training


def measure(training: Training, example: Example, config: TrainingConfig, generator: Generator) -> Loss:
    """Predict the example's frames, from nothing or from the truth with noise, and return the loss."""
    seen = observation_of(example)
    flows, drops_structure, drops_references = (
        bool(torch.rand(1, generator=generator) < share)
        for share in (config.flow, config.drop, config.drop)
    )
    noisy, time = disturbed(seen, example.truth, generator) if flows else (None, None)
    kept = (
        torch.zeros(len(example.truth), dtype=torch.bool) if config.structure and drops_references else None
    )
    device = example.truth.device.type
    with torch.autocast(device, torch.bfloat16, enabled=config.bf16 and half_pays(device)):
        tokens = None
        if training.encoder is not None and not drops_structure:
            tokens = training.encoder(points_of(example), example.reference_pose[:, 0], generator)
        prediction = training.model(seen, tokens, noisy, time, None if kept is None else kept.to(device))
    covered = cropped(example.render.coverage.amax(2), example.render.margin)
    return loss(prediction, seen, example.truth, covered)
