"""What the small model is trained to do, in covered pixels and in holes apart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.network import Prediction
from reconx_ros.diffusion.small.observation import Observation

FLOOR = 2e-4
"""Squared colour error below which an example is good enough (37 dB)."""

HOLE_SHARE = 0.6
"""Weight of holes; covered pixels have the rest."""

GRADIENT, VARIANCE, ABSOLUTE = 0.5, 0.02, 1.0
LOG_VARIANCE_RANGE = (-10.0, 1.0)


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss and, without gradients, what it is made of.

    Attributes:
        total: what is minimised.
        holes_db: mean gain of the frames over the push-pull fill in holes, dB.
        covered_db: the same in covered pixels.
    """

    total: Tensor
    holes_db: Tensor
    covered_db: Tensor


def loss(prediction: Prediction, observation: Observation, truth: Tensor, covered: Tensor) -> Loss:
    """Return the loss of F frames of B clips.

    For each frame and each region (holes, covered) the squared error counts relative to that of the
    push-pull fill, so that every frame weighs the same, as it does in the mean gain in dB:

        L = Σ_region w (MSE / (MSE_base + ε) + |error| / (|error_base| + √ε))
            + w_g |∇ error| + w_v (e² exp(−s) + s),

    s being the predicted logarithm of the variance and e the error without gradient.

    Args:
        prediction: of the model.
        observation: what it saw.
        truth: [B, F, 3, h, w].
        covered: [B, F, 1, h, w], 1 where a reference shows the pixel with measured depth.
    """
    base = cropped(observation.base, observation.margin)
    error, base_error = prediction.image - truth, base - truth
    total = error.new_zeros(())
    gains = []
    for region, share in ((1 - covered, HOLE_SHARE), (covered, 1 - HOLE_SHARE)):
        # Regions of a few pixels say little: they fade out.
        count = region.sum((-3, -2, -1))
        weight = share * (count / (count + 200))
        square, base_square = _mean(error.square(), region), _mean(base_error.square(), region)
        bent, base_bent = _mean(error.abs(), region), _mean(base_error.abs(), region)
        relative = square / (base_square + FLOOR) + ABSOLUTE * bent / (base_bent + FLOOR**0.5)
        total = total + (weight * relative).mean()
        gain = 10 * torch.log10((base_square + 1e-6) / (square.detach() + 1e-6))
        gains.append((gain * (count > 50)).sum() / (count > 50).sum().clamp(min=1))
    total = total + GRADIENT * _gradient(error) + VARIANCE * _surprise(prediction, error)
    return Loss(total, gains[0], gains[1])


def _mean(image: Tensor, region: Tensor) -> Tensor:
    """Mean [B, F] of [B, F, 3, h, w] over a region [B, F, 1, h, w]; 0 where that is empty."""
    area = (region.sum((-3, -2, -1)) * image.shape[-3]).clamp(min=1)
    return (image * region).sum((-3, -2, -1)) / area


def _gradient(error: Tensor) -> Tensor:
    across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
    return across + down


def _surprise(prediction: Prediction, error: Tensor) -> Tensor:
    logarithm = prediction.log_variance.clamp(*LOG_VARIANCE_RANGE)
    square = error.detach().square().mean(-3, keepdim=True)
    return (square * torch.exp(-logarithm) + logarithm).mean()
