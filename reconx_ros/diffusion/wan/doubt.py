"""How wrong a generated pixel is expected to be, and how far it is believed."""

from math import erf, sqrt

import torch
from torch import Tensor

from reconx_ros.diffusion.reliability import COLOUR_TOLERANCE, KNOTS, MOST, Reliability
from reconx_ros.diffusion.reliability import LEAST as LEAST_RIGHT
from reconx_ros.structure.fills import gaussian_blur, push_pull
from reconx_ros.structure.uncertainty import REACH, hole_depth

LEAST = 0.02
"""Standard deviation of colour of the best pixels: noise, resampling."""

DEEP = 0.2
"""What being deep in a hole adds, before it is known how the model does there."""

NEIGHBOURHOOD = 2.0
"""Pixels (σ of a Gaussian) over which the model's agreement with the render is averaged."""


def expected_error(generated: Tensor, image: Tensor, known: Tensor, spread: Tensor | None = None) -> Tensor:
    """Return the standard deviation σ of colour expected of generated frames.

    Where something is known, the model was shown it and should have repeated it: what it did there
    tells how far to trust it nearby. With a the root mean square over a neighbourhood of its difference
    to what is known, carried into holes by push-pull, d the depth in the hole in pixels and v the variance
    between independent draws of the same pixel,

        σ² = σ_0² + a² + (δ min(1, d / 32))² + 2 v;   in known pixels σ² = σ_0² + a²

    (the difference of two draws of one distribution has twice its variance; the truth is taken as a draw).

    Args:
        generated: [F, 3, H, W] in [0, 1], colours matched, nothing restored.
        image: [F, 3, H, W] in [0, 1].
        known: [F, 1, H, W], 1 where ``image`` is known.
        spread: [F, 1, H, W] v, where there is more than one draw.

    Returns:
        [F, 1, H, W].
    """
    square = (generated - image).square().mean(1, keepdim=True) * known
    near = gaussian_blur(torch.cat([square, known], 1), NEIGHBOURHOOD)
    agreement = push_pull(near[:, :1] / near[:, 1:].clamp(min=1e-6), known)
    agreement = torch.where(known.amax((2, 3), keepdim=True) > 0, agreement, DEEP**2)
    hole = (DEEP * hole_depth(known, REACH) / REACH).square()
    if spread is not None:
        hole = hole + 2 * spread
    return (LEAST**2 + agreement + (1 - known) * hole).sqrt()


def provisional_curve() -> Reliability:
    """Return the probability of being right if errors were Gaussian: erf(τ / (σ √2)), τ the tolerance.

    Not calibrated on this model: a run's own keyframes shift it (``Reliability.shifted``).
    """
    says = [LEAST * 1.25**knot for knot in range(KNOTS)]
    right = (min(MOST, max(LEAST_RIGHT, erf(COLOUR_TOLERANCE / (sigma * sqrt(2))))) for sigma in says)
    return Reliability(tuple(says), tuple(right))
