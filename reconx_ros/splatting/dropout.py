"""Random Gaussians left out of a step, so that none can rely on its neighbours to hide its faults."""

import torch

from reconx_ros.splatting.parameters import GaussianParameters

HIDDEN = -20.0
"""Opacity logit of a Gaussian that is left out: far below the least alpha that is drawn."""

MOST_OPAQUE = 0.995


def without_some(
    parameters: GaussianParameters, rate: float, generator: torch.Generator
) -> GaussianParameters:
    """Return the Gaussians with each left out by chance (DropGaussian, Park et al. 2025).

    Those that stay are made more opaque, ``o / (1 - rate)``, so that a pixel gets as much as before on
    average. With few views a Gaussian that sits behind others hardly ever gets a gradient; here
    it does, and the map overfits less.

    Args:
        parameters: N Gaussians.
        rate: chance in [0, 1) to be left out.
        generator: of random numbers, on the CPU.

    Returns:
        N Gaussians connected to ``parameters`` by autograd; those left out get no gradient.
    """
    logits = parameters.opacity_logits
    stays = (torch.rand(len(logits), generator=generator) >= rate).to(logits.device)
    opacity = (logits.sigmoid() / (1 - rate)).clamp(max=MOST_OPAQUE)
    thinned = torch.where(stays, opacity.logit(), HIDDEN)
    return GaussianParameters(
        parameters.means, parameters.log_scales, parameters.quaternions_wxyz, thinned, parameters.sh
    )
