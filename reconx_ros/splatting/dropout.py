"""Random Gaussians left out of a step, so that none can rely on its neighbours to hide its faults."""

from dataclasses import dataclass

import torch

from reconx_ros.splatting.parameters import GaussianParameters

HIDDEN = -20.0
"""Opacity logit of a Gaussian that is left out: far below the least alpha that is drawn."""

MOST_OPAQUE = 0.995


@dataclass(frozen=True, eq=False)
class Thinned:
    """Opacities of a step that leaves some Gaussians out.

    Attributes:
        logits: [N] as they are drawn, ``HIDDEN`` of those left out.
        slopes: [N] of these by the logits of the map, 0 of those left out.
    """

    logits: torch.Tensor
    slopes: torch.Tensor


@torch.no_grad()
def thinned(logits: torch.Tensor, rate: float, generator: torch.Generator) -> Thinned:
    """Leave each Gaussian out by chance (DropGaussian, Park et al. 2025).

    Those that stay are made more opaque, ``o / (1 - rate)``, so that a pixel gets as much as before on
    average. With few views a Gaussian that sits behind others hardly ever gets a gradient; here
    it does, and the map overfits less.

    Args:
        logits: [N] of the map.
        rate: chance in [0, 1) to be left out.
        generator: of random numbers, on the CPU.
    """
    stays = (torch.rand(len(logits), generator=generator) >= rate).to(logits.device)
    opacity = logits.sigmoid()
    raised = opacity / (1 - rate)
    free = stays & (raised <= MOST_OPAQUE)
    raised.clamp_(max=MOST_OPAQUE)
    drawn = torch.where(stays, raised.logit(), HIDDEN)
    return Thinned(drawn, torch.where(free, (1 - opacity) / (1 - raised), 0))


def without_some(
    parameters: GaussianParameters, rate: float, generator: torch.Generator
) -> GaussianParameters:
    """Return the Gaussians with the opacities of ``thinned``, connected to ``parameters`` by autograd.

    Those left out get no gradient.
    """
    logits = parameters.opacity_logits
    one = thinned(logits.detach(), rate, generator)
    drawn = one.logits + one.slopes * (logits - logits.detach())  # the value of one, the slope of the other
    return GaussianParameters(
        parameters.means, parameters.log_scales, parameters.quaternions_wxyz, drawn, parameters.sh
    )
