"""Fills that learn nothing: what any prior must beat, and what the small model starts from.

Each takes an image [B, 3, H, W] in [0, 1] and a mask [B, 1, H, W], 1 where the image is known, and
returns a full image; known pixels stay as they are unless the fill says otherwise. Where an image has
no known pixel, the result is mid grey.
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

Fill = Callable[[Tensor, Tensor], Tensor]

GREY = 0.5
BLUR_SIGMA = 0.7
"""Pixels; on covered pixels this much blur alone beats the raw warp, so it belongs in every table."""

INPAINT_RADIUS = 3.0
"""Pixels; the neighbourhood that Telea and Navier–Stokes look at."""


def mean_color(image: Tensor, mask: Tensor) -> Tensor:
    """Fill with the mean of the known pixels."""
    total = mask.sum(dim=(2, 3), keepdim=True)
    mean = (image * mask).sum(dim=(2, 3), keepdim=True) / total.clamp(min=1e-6)
    return _laid_over(image, mask, torch.where(total > 0, mean, GREY).expand_as(image))


def push_pull(image: Tensor, mask: Tensor) -> Tensor:
    """Fill from a pyramid of weighted means (Gortler et al. 1996, The Lumigraph, section 3.2.3).

    Takes any number of channels. Pull: with h the 4×4 binomial kernel of sum 1, each coarser level is

        v' = Σ h w v / Σ h w,   w' = min(1, 4 Σ h w),

    so that one known pixel in four already makes a coarse pixel known. Push: v ← w v + (1 − w) up(v'),
    up being bilinear. Nothing outside the image takes part.
    """
    known = (mask.sum(dim=(2, 3), keepdim=True) > 0).to(image.dtype)
    return _laid_over(image, mask, _push_pull(image * (mask > 0), mask) * known + GREY * (1 - known))


def push_pull_blur(image: Tensor, mask: Tensor, sigma: float = BLUR_SIGMA) -> Tensor:
    """Push-pull, then a slight Gaussian blur of known and filled pixels alike."""
    return gaussian_blur(push_pull(image, mask), sigma)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Blur [B, C, H, W]; near the border the kernel is cut and normalised."""
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    square = (kernel[:, None] * kernel)[None, None]

    def spread(values: Tensor) -> Tensor:
        blurred: Tensor = conv2d(values.flatten(0, 1)[:, None], square, padding=reach)
        return blurred.view_as(values)

    return spread(image) / spread(torch.ones_like(image))


def telea(image: Tensor, mask: Tensor) -> Tensor:
    """Fill by fast marching (Telea 2004) as OpenCV does; computed in 8 bits on the CPU."""
    return _inpaint(image, mask, cv2.INPAINT_TELEA)


def navier_stokes(image: Tensor, mask: Tensor) -> Tensor:
    """Fill along isophotes (Bertalmio et al. 2001) as OpenCV does; in 8 bits on the CPU."""
    return _inpaint(image, mask, cv2.INPAINT_NS)


FILLS: dict[str, Fill] = {
    "mean": mean_color,
    "telea": telea,
    "navier-stokes": navier_stokes,
    "push-pull": push_pull,
    "push-pull-blur": partial(push_pull_blur, sigma=BLUR_SIGMA),
}
"""By the names that tables and reports use."""


def _laid_over(image: Tensor, mask: Tensor, fill: Tensor) -> Tensor:
    return torch.where(mask >= 1, image, fill)


def _push_pull(image: Tensor, weight: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    if height == 1 and width == 1:
        return image
    coarse, coarse_weight = _pull(image, weight)
    finer = interpolate(_push_pull(coarse, coarse_weight), scale_factor=2, mode="bilinear")
    return weight * image + (1 - weight) * finer[..., :height, :width]


def _pull(image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next coarser level and its weight; pixel i covers 2i and 2i + 1."""
    height, width = image.shape[-2:]
    border = (1, 1 + width % 2, 1, 1 + height % 2)
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], device=image.device, dtype=image.dtype) / 8
    kernel = (line[:, None] * line)[None, None]
    channels = torch.cat([image * weight, weight], dim=1)
    flat = pad(channels, border).flatten(0, 1)[:, None]
    pooled = conv2d(flat, kernel, stride=2)
    sums = pooled.view(*channels.shape[:2], *pooled.shape[-2:])
    total = sums[:, -1:]
    return sums[:, :-1] / total.clamp(min=1e-8), (4 * total).clamp(max=1)


def _inpaint(image: Tensor, mask: Tensor, method: int) -> Tensor:
    bytes_ = (image.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    holes = (mask[:, 0] < 1).byte().cpu().numpy()
    filled = np.stack([_inpaint_one(*each, method) for each in zip(bytes_, holes, strict=True)])
    fill = torch.from_numpy(filled).permute(0, 3, 1, 2).to(image) / 255
    return _laid_over(image, mask, fill)


def _inpaint_one(image: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    if hole.all():
        return np.full_like(image, round(255 * GREY))
    return np.asarray(cv2.inpaint(np.ascontiguousarray(image), hole, INPAINT_RADIUS, method))
