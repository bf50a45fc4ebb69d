"""From an observation to frames: the mean in one step, or samples in a few steps of flow matching.

The model predicts the clean residual r₀ of the frames to the push-pull fill. With u the uncertainty map
and ε normal noise, what it is given at time σ is

    r_σ = (1 − σ) r₀ + σ s u ε,        dr/dσ = (r_σ − r₀) / σ,

so that noise enters where something is unknown. Guidance of references (R) and structure (S) apart:

    r₀ = r(∅, ∅) + g_R (r(R, ∅) − r(∅, ∅)) + g_S (r(R, S) − r(R, ∅)).

Grounding (training-free, after arXiv 2503.05082) pulls r₀ toward a render of the map so far, by its alpha.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.network import Prediction, SmallNetwork
from reconx_ros.diffusion.small.observation import Observation
from reconx_ros.structure.encoder import StructureTokens

NOISE = 0.4
"""s, the standard deviation of a residual where nothing at all is known."""


class Scheduler(Protocol):
    """A scheduler of diffusers, such as its ``FlowMatchEulerDiscreteScheduler``."""

    timesteps: Tensor
    sigmas: Tensor

    def set_timesteps(self, *, sigmas: list[float], device: torch.device) -> None:
        """Prepare the steps from one σ to the next."""

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor) -> Any:  # noqa: ANN401
        """Return the next sample as ``prev_sample``."""


@dataclass(frozen=True)
class Guidance:
    """How strongly references and structure steer; 1 is the model as it was trained, 0 leaves it out.

    Attributes:
        references: g_R.
        structure: g_S.
    """

    references: float = 1.0
    structure: float = 1.0


AS_TRAINED = Guidance()


@dataclass(frozen=True, eq=False)
class Grounding:
    """What the map so far shows.

    Attributes:
        color: [B, F, 3, h, w] in [0, 1], without margins.
        alpha: [B, F, 1, h, w] in [0, 1], times how strongly it pulls.
    """

    color: Tensor
    alpha: Tensor


def noised(residual: Tensor, uncertainty: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return r_σ.

    Args:
        residual: r₀ [B, F, 3, H, W].
        uncertainty: u [B, F, 1, H, W].
        noise: ε like ``residual``.
        time: σ [B].
    """
    share = time.view(-1, 1, 1, 1, 1)
    return (1 - share) * residual + share * NOISE * uncertainty * noise


def guided(
    model: SmallNetwork,
    seen: Observation,
    tokens: StructureTokens | None,
    guidance: Guidance,
    residual: Tensor | None = None,
    time: Tensor | None = None,
) -> Prediction:
    """Predict the clean frames; the variance is that of the model as it was trained."""

    def predict(references: bool, structure: bool) -> Prediction:
        kept = (
            None if references else torch.zeros(len(seen.base), dtype=torch.bool, device=seen.base.device)
        )
        prediction: Prediction = model(seen, tokens if structure else None, residual, time, kept)
        return prediction

    full = predict(True, True)
    plain = full if tokens is None or guidance.structure == 1 else predict(True, False)
    image = plain.image + guidance.structure * (full.image - plain.image)
    if plain is full:
        image = full.image
    if guidance.references != 1:
        alone = predict(False, False)
        base = plain if tokens is None else predict(True, False)
        image = image + (guidance.references - 1) * (base.image - alone.image)
    return Prediction(image, full.log_variance)


def sample(
    model: SmallNetwork,
    scheduler: Scheduler,
    seen: Observation,
    tokens: StructureTokens | None,
    noise: Tensor,
    steps: int,
    guidance: Guidance,
    grounding: Grounding | None = None,
    proceed: Callable[[], bool] = lambda: True,
) -> Prediction | None:
    """Draw one sample of the frames.

    Args:
        model: of the small pipeline.
        scheduler: its.
        seen: B clips.
        tokens: their structure; ``None`` leaves the branch out.
        noise: ε [B, F, 3, H, W].
        steps: of the flow, at least 1.
        guidance: of references and structure.
        grounding: the map so far.
        proceed: asked before each step; false gives ``None``.
    """
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps).tolist(), device=noise.device)
    residual = NOISE * seen.uncertainty * noise
    done = None
    for number, timestep in enumerate(scheduler.timesteps):
        if not proceed():
            return None
        time = scheduler.sigmas[number].to(noise).expand(len(noise))
        done = grounded(guided(model, seen, tokens, guidance, residual, time), grounding)
        velocity = (residual - _residual(done, seen)) / scheduler.sigmas[number]
        residual = scheduler.step(velocity, timestep, residual).prev_sample
    return done


def grounded(prediction: Prediction, grounding: Grounding | None) -> Prediction:
    """Pull a prediction toward what the map shows."""
    if grounding is None:
        return prediction
    pull = grounding.alpha * (grounding.color - prediction.image)
    return Prediction(prediction.image + pull, prediction.log_variance)


def _residual(prediction: Prediction, seen: Observation) -> Tensor:
    """Return r₀ of the size of the observation; 0 in the margins, which nobody predicts."""
    rows, columns = seen.margin
    return pad(prediction.image - cropped(seen.base, seen.margin), (columns, columns, rows, rows))
