"""Exposure matching: the affine colour change that makes two references agree where both see.

Two keyframes of one wall differ in exposure and white balance, and the seam between their warps
would show. For each reference r and colour channel, with anchor a and over co-visible pixels x,

    I_a(x) ≈ gain_r · I_r(x) + bias_r.

Both sides carry noise and misregistration, so that least squares would shrink the gain. The line
is therefore the weighted reduced major axis, which treats both sides alike,

    gain = std_w(I_a) / std_w(I_r),   bias = mean_w(I_a) − gain · mean_w(I_r),

with Tukey's biweight on the residual against occlusion errors, reweighted until it settles.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from reconx_ros.structure.conditioning_render import ConditioningRender

SAMPLES = 16384
"""Pixels looked at for each clip and reference, spread over all its frames."""

FEWEST = 64
"""Co-visible pixels below which nothing is matched."""

SAME_SURFACE = 0.05
"""Relative depth difference up to which two references see the same surface."""

DARK, BRIGHT = 0.02, 0.98
"""Colours outside are clipped by the sensor, where no affine law holds."""

LEAST_CORRELATION = 0.5
"""Below it two channels share no structure (a bare wall): only their means are matched."""

GAIN_LIMIT = 3.0
ROUNDS = 12
TUKEY = 4.685
FINEST_SCALE = 1e-4


@dataclass(frozen=True, eq=False)
class Exposure:
    """An affine colour change for each reference, ``gain · colour + bias``.

    Attributes:
        gain: [B, R, 3], 1 for the anchor.
        bias: [B, R, 3], 0 for the anchor.
        matched: [B, R] bool; where not, too few pixels were co-visible and the colours stay.
    """

    gain: Tensor
    bias: Tensor
    matched: Tensor

    def apply(self, color: Tensor) -> Tensor:
        """Change colours [B, F, R, 3, H, W]; not clipped, so that it can be undone."""
        return color * self._spread(self.gain) + self._spread(self.bias)

    def undo(self, color: Tensor) -> Tensor:
        """Invert ``apply``."""
        return (color - self._spread(self.bias)) / self._spread(self.gain)

    @staticmethod
    def _spread(value: Tensor) -> Tensor:
        return value[:, None, :, :, None, None]


def estimate_exposure(render: "ConditioningRender", anchor: int = 0) -> Exposure:
    """Estimate the change of each reference that makes it agree with reference ``anchor``.

    Args:
        render: colours as taken.
        anchor: the reference whose exposure stays.

    Returns:
        Its ``apply`` brings all matched references to the anchor's exposure.
    """
    stride = max(1, render.coverage[0, :, 0].numel() // SAMPLES)
    color, coverage, depth = (
        image.movedim(1, 3).flatten(3)[..., ::stride]
        for image in (render.color, render.coverage, render.depth)
    )
    target = color[:, anchor : anchor + 1]
    near, far = torch.minimum(depth, depth[:, anchor, None]), torch.maximum(depth, depth[:, anchor, None])
    usable = (coverage * coverage[:, anchor, None] > 0) & (far <= near * (1 + SAME_SURFACE))
    usable = usable & _unclipped(color) & _unclipped(target)
    gain, bias = _robust_line(color, target.expand_as(color), usable.to(color.dtype))
    matched = usable.sum(-1).amin(-1) >= FEWEST
    matched[:, anchor] = True
    keep = matched[..., None] & (torch.arange(color.shape[1], device=color.device) != anchor)[:, None]
    return Exposure(
        torch.where(keep, gain, torch.ones_like(gain)),
        torch.where(keep, bias, torch.zeros_like(bias)),
        matched,
    )


def _unclipped(color: Tensor) -> Tensor:
    return ((color > DARK) & (color < BRIGHT)).all(dim=2, keepdim=True)


def _robust_line(x: Tensor, y: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Fit y ≈ gain·x + bias along the last axis; ``usable`` broadcasts against x."""
    usable = usable.expand_as(x)
    weight = usable
    for _ in range(ROUNDS):
        gain, bias = _line(x, y, weight)
        residual = (y - gain[..., None] * x - bias[..., None]).abs()
        scale = torch.where(usable > 0, residual, torch.nan).nanmedian(dim=-1, keepdim=True).values
        scale = (1.4826 * scale).nan_to_num(1.0).clamp(min=FINEST_SCALE)
        weight = usable * (1 - (residual / (TUKEY * scale)).square()).clamp(min=0).square()
    return _line(x, y, weight)


def _line(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted reduced major axis; the means alone where x and y hardly correlate."""
    total = weight.sum(-1).clamp(min=1e-6)
    mean_x, mean_y = (weight * x).sum(-1) / total, (weight * y).sum(-1) / total
    off_x, off_y = x - mean_x[..., None], y - mean_y[..., None]
    spread_x, spread_y, joint = (
        (weight * product).sum(-1) / total for product in (off_x * off_x, off_y * off_y, off_x * off_y)
    )
    scale = (spread_x * spread_y).clamp(min=1e-16).sqrt()
    gain = (spread_y.clamp(min=1e-12) / spread_x.clamp(min=1e-12)).sqrt()
    gain = torch.where(joint > LEAST_CORRELATION * scale, gain.clamp(1 / GAIN_LIMIT, GAIN_LIMIT), 1.0)
    return gain, mean_y - gain * mean_x
