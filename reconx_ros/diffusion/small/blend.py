"""The basis of fills that the head blends pixel by pixel (kernel prediction).

Nine taps (3 × 3) of the push-pull fill and of each reference at the middle exposure, each reference
as it was taken, and the fill averaged over 4, 8 and 16 pixels. Over covered pixels the taps can
sharpen, blur, and shift by up to a pixel what was misregistered; in holes the blurs say "unknown".
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from reconx_ros.diffusion.small.observation import Observation

TAPS = 9
BLURS = (4, 8, 16)
CENTRE = TAPS // 2
"""Index of the push-pull fill itself."""


def basis_count(references: int) -> int:
    """Return the number of fills K for R references."""
    return TAPS * (1 + references) + references + len(BLURS)


def blend(observation: Observation, weights: Tensor) -> Tensor:
    """Return Σ_k w_k · fill_k, [B·F, 3, h, w] without margins.

    Args:
        observation: B clips of F frames.
        weights: [B·F, K, h, w] summing to 1 over K.
    """
    total = torch.zeros_like(weights[:, :3])
    for fill, weight in zip(basis(observation), weights.unbind(1), strict=True):
        total = total + weight[:, None] * fill
    return total


def basis(observation: Observation) -> Iterator[Tensor]:
    """Yield the fills [B·F, 3, h, w] without margins."""
    margin = observation.margin
    base = observation.base.flatten(0, 1)
    sources = [base, *observation.matched.flatten(0, 1).unbind(1)]
    for source in sources:
        yield from _taps(source, margin)
    for source in observation.taken.flatten(0, 1).unbind(1):
        yield cropped(source, margin)
    for width in BLURS:
        coarse = interpolate(base, size=[-(-side // width) for side in base.shape[-2:]], mode="area")
        yield cropped(interpolate(coarse, size=base.shape[-2:], mode="bilinear"), margin)


def cropped(image: Tensor, margin: tuple[int, int]) -> Tensor:
    """Cut ``margin`` rows and columns off each side of [..., H, W]."""
    height, width = image.shape[-2:]
    return image[..., margin[0] : height - margin[0], margin[1] : width - margin[1]]


def _taps(image: Tensor, margin: tuple[int, int]) -> Iterator[Tensor]:
    around = pad(image, (1, 1, 1, 1), mode="replicate")
    height, width = (side - 2 * cut for side, cut in zip(image.shape[-2:], margin, strict=True))
    for row in range(3):
        for column in range(3):
            top, left = margin[0] + row, margin[1] + column
            yield around[..., top : top + height, left : left + width]
