"""Colour and confidence of the pixels of a warp, looked up in the reference."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.structure.reference_surface import (
    ReferenceSurface,
    guessed_surface,
    reference_surface,
    same_surface,
)
from reconx_ros.structure.splats import Splats, coordinates, magnification

NEAR_EDGE = 0.5
CLOSED = 0.5
GUESSED = 0.1
LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class References:
    """M references.

    Attributes:
        color: [M, 3, H, W].
        surface: what the depth images show, and where wanted what is guessed.
        confidence: [M, 1, H, W] in [0, 1].
        measured: [M, 1, H, W] bool, false where the depth is unknown or guessed.
        guess: whether unknown depths were guessed.
    """

    color: Tensor
    surface: ReferenceSurface
    confidence: Tensor
    measured: Tensor
    guess: bool

    @classmethod
    def of(
        cls, color: Tensor, depth: Tensor, confidence: Tensor | None, guess: bool = False
    ) -> "References":
        """Prepare the references.

        Args:
            color: [M, 3, H, W].
            depth: [M, 1, H, W], unknown where not finite or not above 0.
            confidence: [M, 1, H, W]; 1 where not given.
            guess: whether to guess the unknown depths.
        """
        surface = guessed_surface(depth) if guess else reference_surface(depth)
        measured = torch.isfinite(depth) & (depth > 0)
        given = torch.ones_like(surface.inverse_depth) if confidence is None else confidence
        trusted = torch.where(measured, given * torch.where(surface.edge, NEAR_EDGE, 1.0), GUESSED)
        return cls(color, surface, trusted, measured, guess)


def sample(
    references: References,
    which: Tensor,
    splats: Splats,
    index: Tensor,
    closed: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Return the layers of a warp.

    Args:
        references: M of them.
        which: [N] int64, the reference of each image.
        splats: of the references' pixels, in each image.
        index: [N, H·W] the splat of each pixel, −1 where none.
        closed: [N, H·W] bool, whether a gap was closed there.
        size: H, W.

    Returns:
        [N, 6, H, W]: colour (3), coverage, depth, confidence; 0 where no splat is.
    """
    if index.device.type != "cpu":
        return sample_batched(references, which, splats, index, closed, size)
    from reconx_ros.structure.sampling_kernel import sample_compiled  # noqa: PLC0415 - numba

    surface = references.surface
    images = (references.color, surface.inverse_depth, surface.slope, references.confidence)
    color, inverse, slope, confidence = (image.contiguous().numpy() for image in images)
    measured = references.measured.contiguous().numpy()
    rows = (splats.table.numpy(), index.numpy(), closed.numpy())
    found = sample_compiled(color, inverse, slope, confidence, measured, which.numpy(), *rows, size)
    return torch.from_numpy(found)


def sample_batched(
    references: References,
    which: Tensor,
    splats: Splats,
    index: Tensor,
    closed: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """``sample`` in torch operations only, for CUDA."""
    image, place = torch.nonzero(index >= 0, as_tuple=True)
    splat = index[image, place]
    rows = splats.table[image, :, splat].T
    u, v, inverse = coordinates(rows, (place % size[1]).float(), (place // size[1]).float())
    color = _taps(references, which[image], splat, u, v)
    stretch = magnification(rows).clamp(min=1).rsqrt()
    confidence = references.confidence.flatten(1)[which[image], splat] * stretch
    confidence = confidence * torch.where(closed[image, place], CLOSED, 1.0)
    values = torch.stack([torch.ones_like(inverse), 1 / inverse, confidence], dim=1)
    canvas = torch.zeros(*index.shape, 6, device=index.device)
    canvas[image, place] = torch.cat([color, values], dim=1)
    return canvas.transpose(1, 2).reshape(-1, 6, *size)


def _taps(references: References, which: Tensor, splat: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return [K, 3] colours at δ = (u, v) from the centre of pixels ``splat``.

    Of the four taps those on the splat's own plane count, and those without measured depth: their
    colour is known all the same. Where none does, the splat's own pixel is taken.
    """
    colors = references.color.flatten(2).transpose(1, 2)
    inverse, slope = references.surface.inverse_depth.flatten(1), references.surface.slope.flatten(2)
    measured = references.measured.flatten(1)
    height, width = references.color.shape[-2:]
    column, row = splat % width, splat // width
    left, top = u.floor(), v.floor()
    own, tilt = inverse[which, splat], slope[which, :, splat]
    total = torch.full_like(u, LEAST_WEIGHT)
    color = colors[which, splat] * total[:, None]
    for down in (0, 1):
        for right in (0, 1):
            x, y = left + right, top + down
            weight = (1 - (u - x).abs()) * (1 - (v - y).abs())
            at_x = (column + x.long()).clamp(0, width - 1)
            at_y = (row + y.long()).clamp(0, height - 1)
            tap = at_y * width + at_x
            there = inverse[which, tap]
            on_plane = same_surface(there, own + tilt[:, 0] * x + tilt[:, 1] * y)
            on_plane = on_plane | ~measured[which, tap]
            weight = weight * on_plane
            total = total + weight
            color = color + colors[which, tap] * weight[:, None]
    return color / total[:, None]
