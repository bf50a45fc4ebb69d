"""The confidence-weighted loss of the paper (ReconX, section 3.4), with depth where it is known.

For a view with pixel weights w (``confidence_weights``), rendered x and target y, both in [0, 1]:

``mean_i w_i [(1 - s) mean_c |x_i - y_i| + s mean_c (1 - SSIM_i)]
+ mean_i w_i [d |depth_i / alpha_i - z_i| / z_i + v (1 - alpha_i)]``

with s = 0.2 as in the paper, SSIM over the 11-tap Gaussian window of Wang et al. 2004 with zeros
outside the image, and the second mean over pixels of known depth z. The paper does not say how C is
scaled; ``confidence_weights`` has the choices.

Beside it stands a perceptual term ``p E``. The paper takes 0.5 LPIPS, which needs a pretrained network
(``perceptual.py``, for those who have its weights). Without one, E compares image gradients over a
pyramid (``gradient_reference``): structure counts, slow changes of brightness between views do not.

On the CPU both terms are fused numba kernels (``cpu/loss.py``); on CUDA, and as the reference in
tests, plain torch, with SSIM as a kernel where the package fused-ssim is installed.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from reconx_ros.splatting.cpu import gradient_loss as gradients
from reconx_ros.splatting.cpu import loss as kernels
from reconx_ros.splatting.cuda_kernels import fused_ssim_map

Mode = Literal["uniform", "mean", "log", "raw"]
LEVELS = 3
"""Of the pyramid of the gradient term."""


class Context(Protocol):
    """What torch hands to ``forward`` and ``backward``."""

    gradients: tuple[torch.Tensor, ...]


def confidence_weights(confidence: NDArray[np.float32], mode: Mode) -> NDArray[np.float32]:
    """Return pixel weights [H, W] float32 of DUSt3R confidences C >= 1 (0: left out).

    ``uniform``: 1 where C > 0; ``raw``: C; ``mean``: C over its mean; ``log``: 1 + log C over its
    mean. The means are over pixels with C > 0; a view that is all zero stays all zero.
    """
    known = confidence > 0
    if mode == "uniform" or not known.any():
        return known.astype(np.float32)
    if mode == "raw":
        return confidence.astype(np.float32)
    value = np.where(known, 1 + np.log(np.maximum(confidence, 1e-6)), 0) if mode == "log" else confidence
    value = np.maximum(value, 0)
    return np.asarray(value / value[known].mean(), np.float32)


@dataclass(frozen=True, eq=False)
class Target:
    """A training view on the device, with the memory its loss works in.

    Attributes:
        image: [H, W, 3] float32.
        weight: [H, W] float32.
        depth: [H, W] float32, NaN unknown, or ``None`` where nothing is known.
        work: memory shared by all views of this size, on the CPU only.
        levels: that of the gradient term, shared likewise.
    """

    image: torch.Tensor
    weight: torch.Tensor
    depth: torch.Tensor | None
    work: kernels.Workspace | None = None
    levels: list[gradients.Level] | None = None


@dataclass(frozen=True)
class LossWeights:
    """s, d, v of the loss, and p of its gradient term."""

    ssim: float
    depth: float
    coverage: float
    gradient: float = 0.0


def view_loss(
    color: torch.Tensor, depth: torch.Tensor, alpha: torch.Tensor, target: Target, weights: LossWeights
) -> torch.Tensor:
    """Return the scalar loss of a rendered view: colour [H, W, 3], sum of w z [H, W], alpha [H, W]."""
    if target.work is None:
        value = photometric_reference(color, target.image, target.weight, weights.ssim)
    else:
        value = _apply(_Photometric, color, target, weights)
    if weights.gradient > 0:
        value = value + weights.gradient * _gradient_term(color, target)
    if target.depth is None or (weights.depth == 0 and weights.coverage == 0):
        return value
    if target.work is None:
        return value + geometric_reference(depth, alpha, target.depth, target.weight, weights)
    return value + _apply(_Geometric, depth, alpha, target, weights)


def photometric_reference(
    color: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, ssim_weight: float
) -> torch.Tensor:
    """Return the colour term in plain torch, any dtype and device; see ``kernels.photometric``."""
    absolute = (color - target).abs().mean(dim=-1)
    fused = fused_ssim_map(ssim) if color.is_cuda else None
    dissimilarity = 1 - (fused or ssim)(color, target).mean(dim=-1)
    return (weight * ((1 - ssim_weight) * absolute + ssim_weight * dissimilarity)).mean()


def gradient_reference(color: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the gradient term E in plain torch.

    With r = x - y averaged over 2^l x 2^l pixels, the mean over levels l = 0, 1, 2 of
    ``mean_i mean_c (min(w_i, w_left) |r_i - r_left| + min(w_i, w_above) |r_i - r_above|)``; w is averaged
    alike, so a pixel of no weight has none through its neighbours either.
    """
    residual = (color - target).permute(2, 0, 1)[None]
    weight = weight[None, None]
    terms = []
    for level in range(pyramid_levels(weight.shape[-2], weight.shape[-1])):
        if level:
            residual, weight = functional.avg_pool2d(residual, 2), functional.avg_pool2d(weight, 2)
        across = (torch.minimum(weight[..., 1:], weight[..., :-1]) * residual.diff(dim=-1).abs()).sum()
        down = (torch.minimum(weight[..., 1:, :], weight[..., :-1, :]) * residual.diff(dim=-2).abs()).sum()
        terms.append((across + down) / residual.numel())
    return torch.stack(terms).mean()


def pyramid_levels(height: int, width: int) -> int:
    """Return the number of levels for an image: ``LEVELS``, fewer where it is too small to halve."""
    levels = 1
    while levels < LEVELS and min(height, width) >= 4:
        height, width, levels = height // 2, width // 2, levels + 1
    return levels


def _gradient_term(color: torch.Tensor, target: Target) -> torch.Tensor:
    if target.levels is None:
        return gradient_reference(color, target.image, target.weight)
    return _apply(_Gradient, color, target)


def ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the SSIM map [H, W, 3] of two images [H, W, 3] (Wang et al. 2004, zeros outside)."""
    products = torch.cat([first, second, first * first, second * second, first * second], dim=-1)
    mean_x, mean_y, xx, yy, xy = _apply(_Blur, products).chunk(5, dim=-1)
    c1, c2 = 0.01**2, 0.03**2
    variance_x, variance_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    return ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )


def geometric_reference(
    depth: torch.Tensor,
    alpha: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    weights: LossWeights,
) -> torch.Tensor:
    """Return the depth and coverage term in plain torch; see ``kernels.geometric``."""
    known = (target > 0) & (weight > 0)
    z = torch.where(known, target, torch.ones_like(target))
    visible = known & (alpha > float(kernels.MIN_ALPHA))
    safe = torch.where(visible, alpha, torch.ones_like(alpha))
    error = torch.where(visible, depth / safe / z - 1, torch.zeros_like(depth)).abs()
    error = error.clamp(max=float(kernels.MAX_ERROR))
    value = weights.depth * error + weights.coverage * torch.where(
        known, 1 - alpha, torch.zeros_like(alpha)
    )
    return (torch.where(known, weight, torch.zeros_like(weight)) * value).mean()


def _apply(function: type[torch.autograd.Function], *args: object) -> torch.Tensor:
    """Call an autograd function (torch gives ``apply`` no types)."""
    result: torch.Tensor = function.apply(*args)  # type: ignore[no-untyped-call]
    return result


class _Blur(torch.autograd.Function):
    """A blur of [H, W, C] by the window of SSIM, zeros outside: symmetric, so it is its own gradient.

    Shifted images are summed. A convolution would do, but cuDNN's rounds float32 to ten bits by default
    (TF32) on GPUs since Ampere, forward and backward, and E[x^2] - E[x]^2 would lose its digits.
    """

    @staticmethod
    def forward(ctx: Context, image: torch.Tensor) -> torch.Tensor:
        return _blurred(image)

    @staticmethod
    def backward(ctx: Context, *by_image: torch.Tensor) -> torch.Tensor:
        return _blurred(by_image[0])


def _blurred(image: torch.Tensor) -> torch.Tensor:
    reach = kernels.RADIUS
    weights = [math.exp(-(k**2) / (2 * kernels.SIGMA**2)) for k in range(-reach, reach + 1)]
    for axis, pad in enumerate(((0, 0, 0, 0), (0, 0))):
        size, padded = image.shape[axis], functional.pad(image, (*pad, reach, reach))
        image = torch.zeros_like(image)
        for shift, weight in enumerate(weights):
            image.add_(padded.narrow(axis, shift, size), alpha=weight / sum(weights))
    return image


class _Photometric(torch.autograd.Function):
    """The colour term as one kernel: the gradient is made with the value."""

    @staticmethod
    def forward(ctx: Context, color: torch.Tensor, target: Target, weights: LossWeights) -> torch.Tensor:
        assert target.work is not None
        value, gradient = kernels.photometric(
            color.detach().contiguous().numpy(),
            target.image.numpy(),
            target.weight.numpy(),
            weights.ssim,
            target.work,
        )
        ctx.gradients = (torch.from_numpy(gradient),)
        return color.new_tensor(value)

    @staticmethod
    def backward(ctx: Context, *by_value: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return ctx.gradients[0] * by_value[0], None, None


class _Gradient(torch.autograd.Function):
    """The gradient term as kernels."""

    @staticmethod
    def forward(ctx: Context, color: torch.Tensor, target: Target) -> torch.Tensor:
        assert target.levels is not None
        image = color.detach().contiguous().numpy()
        value, gradient = gradients.gradient_loss(
            image, target.image.numpy(), target.weight.numpy(), target.levels
        )
        ctx.gradients = (torch.from_numpy(gradient),)
        return color.new_tensor(value)

    @staticmethod
    def backward(ctx: Context, *by_value: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.gradients[0] * by_value[0], None


class _Geometric(torch.autograd.Function):
    """The depth and coverage term as one kernel."""

    @staticmethod
    def forward(
        ctx: Context, depth: torch.Tensor, alpha: torch.Tensor, target: Target, weights: LossWeights
    ) -> torch.Tensor:
        assert target.depth is not None and target.work is not None
        value, by_depth, by_alpha = kernels.geometric(
            depth.detach().contiguous().numpy(),
            alpha.detach().contiguous().numpy(),
            target.depth.numpy(),
            target.weight.numpy(),
            weights.depth,
            weights.coverage,
            target.work,
        )
        ctx.gradients = torch.from_numpy(by_depth), torch.from_numpy(by_alpha)
        return depth.new_tensor(value)

    @staticmethod
    def backward(ctx: Context, *by_value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        return ctx.gradients[0] * by_value[0], ctx.gradients[1] * by_value[0], None, None
