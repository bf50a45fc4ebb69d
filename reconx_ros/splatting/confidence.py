"""The evidence of a view for each Gaussian: how surely it saw it, and whether it agrees.

``c = c_point^POINT_POWER (1 - 2^(-BITS n))`` (``evidence.py``) with ``n = sum_v s_v a_v``: c_point in
[0, 1] is the confidence the Gaussian was initialised with; s_v = min(1, W_v) where W_v, the sum of its
blending weights in view v, is in pixels: how far view v sees it at all; a_v = exp(-E_v / COLOUR_ERROR -
D_v / DEPTH_ERROR) in (0, 1] is how far it explains that view, with E_v and D_v the mean absolute colour
and relative depth errors of the pixels it is blended into. One view in full agreement gives 7/8 of what
the point allows, two 63/64.

The constants make c a probability: on views the map has not seen, about a share c of the pixels of
confidence c has the right colour and depth (``evaluation.calibration`` says what is right and measures it).
"""

from dataclasses import dataclass

import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.splatting.gaussians import Floats
from reconx_ros.splatting.initialise import SH_C0
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import Backend, rasterize

COLOUR_ERROR = 0.2
DEPTH_ERROR = 0.1


@dataclass(frozen=True, eq=False)
class Residuals:
    """How a view differs from its render, per pixel.

    Attributes:
        colour: [H, W] mean absolute error over channels.
        depth: [H, W] relative error, 0 where unknown.
    """

    colour: torch.Tensor
    depth: torch.Tensor


def view_evidence(
    parameters: GaussianParameters, camera: Camera, residuals: Residuals, backend: Backend = "auto"
) -> Floats:
    """Return s_v a_v [N] in [0, 1] of one view.

    The sums over pixels of weight times (1, colour error, depth error) are the slopes of the inner
    product of a render with that image by the colours of the Gaussians: one backward pass gives all.
    """
    sh = torch.zeros_like(parameters.sh[:, :1]).requires_grad_()
    frozen = GaussianParameters(*(t.detach() for t in parameters.tensors()))
    frozen.sh = sh
    with torch.enable_grad():
        rendered = rasterize(frozen, camera, backend=backend)
        image = torch.stack([torch.ones_like(residuals.colour), residuals.colour, residuals.depth], dim=-1)
        torch.autograd.backward((rendered.color * image).sum())
    if sh.grad is None:
        return np.zeros(len(parameters), np.float32)
    weight, colour, depth = (sh.grad[:, 0] / SH_C0).unbind(-1)
    share = weight.clamp(min=1e-6)
    agreement = torch.exp(-colour / share / COLOUR_ERROR - depth / share / DEPTH_ERROR)
    evidence = weight.clamp(0, 1) * agreement.clamp(max=1)
    return np.asarray(torch.nan_to_num(evidence).cpu().numpy(), np.float32)


def residuals(
    color: torch.Tensor,
    image: torch.Tensor,
    depth: torch.Tensor,
    alpha: torch.Tensor,
    known: torch.Tensor | None,
) -> Residuals:
    """Return the residuals of a render (color, depth, alpha) against an image and its known depth."""
    colour = (color - image).abs().mean(dim=-1)
    if known is None:
        return Residuals(colour, torch.zeros_like(colour))
    valid = (known > 0) & (alpha > 1e-3)
    error = (depth / alpha.clamp(min=1e-3) / torch.where(valid, known, 1) - 1).abs()
    return Residuals(colour, torch.where(valid, error, 0).clamp(max=1))
