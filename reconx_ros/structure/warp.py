"""Warp RGB-D references into target cameras, each reference apart, by planar splats.

With ρ the inverse depth at reference pixel u, the target's homogeneous image of the pixel's plane is

    h(u + δ) = A (u + δ, 1) + b ρ(u + δ),   A = K_t R K_r⁻¹,   b = K_t t,   X_t = R X_r + t,

so every pixel with depth is a splat (``splats.py``) one pixel wide. A depth buffer (``zbuffer.py``)
finds the nearest at each target pixel, ``closing.py`` closes what is left open between samples of one
surface and removes what shows through, and colour is sampled in the reference at u + δ, bilinearly
between pixels of that surface alone. Surfaces seen from behind are not drawn.

Confidence of a covered pixel is the product of the reference's own confidence; min(1, 1/√m), m being
the area of the reference pixel in the target (what is magnified is blurred); 1/2 next to a depth edge,
where sensors mix foreground and background; and 1/2 where a gap was closed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.structure.closing import close
from reconx_ros.structure.reference_surface import ReferenceSurface, reference_surface, same_surface
from reconx_ros.structure.splats import Splats, coordinates, magnification, pack
from reconx_ros.structure.zbuffer import REACH, draw

NEAR_EDGE = 0.5
CLOSED = 0.5


@dataclass(frozen=True, eq=False)
class Warp:
    """N warps: color [N, 3, H, W]; coverage, depth, confidence [N, 1, H, W]; 0 where not covered."""

    color: Tensor
    coverage: Tensor
    depth: Tensor
    confidence: Tensor


@dataclass(frozen=True, eq=False)
class References:
    """M references.

    Attributes:
        color: [M, 3, H, W].
        surface: what the depth images show.
        confidence: [M, 1, H, W] in [0, 1].
    """

    color: Tensor
    surface: ReferenceSurface
    confidence: Tensor

    @classmethod
    def of(cls, color: Tensor, depth: Tensor, confidence: Tensor | None) -> "References":
        """Prepare the references; confidence is 1 where none is given."""
        surface = reference_surface(depth)
        given = torch.ones_like(surface.inverse_depth) if confidence is None else confidence
        return cls(color, surface, given * torch.where(surface.edge, NEAR_EDGE, 1.0))


def homographies(
    intrinsics: Tensor, world_from_camera: Tensor, to_intrinsics: Tensor, to_world_from_camera: Tensor
) -> tuple[Tensor, Tensor]:
    """Return A [N, 3, 3] and b [N, 3] of each pair, float32, computed in float64."""
    relative = torch.linalg.inv(to_world_from_camera.double()) @ world_from_camera.double()
    k = to_intrinsics.double()
    a = k @ relative[:, :3, :3] @ torch.linalg.inv(intrinsics.double())
    b = k @ relative[:, :3, 3:]
    return a.float(), b[..., 0].float()


def warp(references: References, which: Tensor, a: Tensor, b: Tensor, size: tuple[int, int]) -> Warp:
    """Warp reference ``which[n]`` by (``a[n]``, ``b[n]``) for each n.

    Args:
        references: M of them.
        which: [N] int64.
        a: [N, 3, 3] (``homographies``).
        b: [N, 3].
        size: height and width of the target.
    """
    splats = pixel_splats(references.surface, which, a, b)
    index, closed = close(splats, draw(splats, size), size)
    image, place = torch.nonzero(index >= 0, as_tuple=True)
    splat = index[image, place]
    rows = splats.table[image, :, splat].T
    u, v, inverse = coordinates(rows, (place % size[1]).float(), (place // size[1]).float())
    color = _sample(references, which[image], splat, u, v)
    stretch = magnification(rows).clamp(min=1).rsqrt()
    confidence = references.confidence.flatten(1)[which[image], splat] * stretch
    confidence = confidence * torch.where(closed[image, place], CLOSED, 1.0)
    depth = 1 / inverse
    canvas = torch.zeros(len(which), size[0] * size[1], 6, device=a.device)
    canvas[image, place] = torch.cat(
        [color, torch.stack([torch.ones_like(depth), depth, confidence], dim=1)], dim=1
    )
    layers = canvas.transpose(1, 2).reshape(-1, 6, *size)
    return Warp(layers[:, :3], layers[:, 3:4], layers[:, 4:5], layers[:, 5:6])


def pixel_splats(surface: ReferenceSurface, which: Tensor, a: Tensor, b: Tensor) -> Splats:
    """Return the splats of all pixels of reference ``which[n]``; δ counts reference pixels."""
    height, width = surface.inverse_depth.shape[-2:]
    inverse = surface.inverse_depth.flatten(2)[which]
    slope = surface.slope.flatten(2)[which]
    x = torch.arange(width, device=a.device, dtype=a.dtype).repeat(height)
    y = torch.arange(height, device=a.device, dtype=a.dtype).repeat_interleave(width)
    shift = b[:, :, None]
    origin = a[:, :, :1] * x + a[:, :, 1:2] * y + a[:, :, 2:] + shift * inverse
    origin[:, 2] = torch.where(inverse[:, 0] > 0, origin[:, 2], -1.0)
    tilt = a[:, :, :2, None] + shift[:, :, None] * slope[:, None]
    return pack(origin, tilt, torch.cat([inverse, slope], dim=1))


def _sample(references: References, which: Tensor, splat: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return [K, 3] colours at δ = (u, v) from the centre of pixels ``splat``.

    Of the four taps those on the splat's own plane count, and those without depth: there is a colour.
    Where none does, the splat's own pixel is taken.
    """
    colors = references.color.flatten(2).transpose(1, 2)
    inverse, slope = references.surface.inverse_depth.flatten(1), references.surface.slope.flatten(2)
    height, width = references.color.shape[-2:]
    column, row = splat % width, splat // width
    left, top = u.floor(), v.floor()
    own, tilt = inverse[which, splat], slope[which, :, splat]
    total = torch.full_like(u, 1e-6)
    color = colors[which, splat] * total[:, None]
    for down in (0, 1):
        for right in (0, 1):
            x, y = left + right, top + down
            weight = (1 - (u - x).abs()) * (1 - (v - y).abs())
            at_x = (column + x.long()).clamp(0, width - 1)
            at_y = (row + y.long()).clamp(0, height - 1)
            tap = at_y * width + at_x
            there = inverse[which, tap]
            on_plane = same_surface(there, own + tilt[:, 0] * x + tilt[:, 1] * y) | (there == 0)
            weight = weight * on_plane
            total = total + weight
            color = color + colors[which, tap] * weight[:, None]
    return color / total[:, None]


__all__ = ["REACH", "References", "Warp", "homographies", "pixel_splats", "warp"]
