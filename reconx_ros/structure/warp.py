"""Warp RGB-D references into target cameras, each reference apart, by planar splats.

With ρ the inverse depth at reference pixel u, the target's homogeneous image of the pixel's plane is

    h(u + δ) = A (u + δ, 1) + b ρ(u + δ),   A = K_t R K_r⁻¹,   b = K_t t,   X_t = R X_r + t,

so every pixel with depth is a splat (``splats.py``) one pixel wide. A depth buffer (``zbuffer.py``)
finds the nearest at each target pixel, ``closing.py`` closes what is left open between samples of one
surface and removes what shows through, and colour is sampled in the reference at u + δ, bilinearly
between pixels of that surface alone. Surfaces seen from behind are not drawn.

Where a pixel of the reference has no depth, its colour is known all the same. With guessed depths
(``guessed_surface``) such pixels are drawn too, but only where no measured one is: they fill holes and
never hide anything.

Confidence of a covered pixel is the product of the reference's own confidence; min(1, 1/√m), m being
the area of the reference pixel in the target (what is magnified is blurred); 1/2 next to a depth edge,
where sensors mix foreground and background; and 1/2 where a gap was closed. A guessed
pixel has 1/10 instead of the first and third.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.structure.closing import close
from reconx_ros.structure.reference_surface import ReferenceSurface
from reconx_ros.structure.sampling import References, sample
from reconx_ros.structure.splats import Splats, only, pack
from reconx_ros.structure.zbuffer import draw


@dataclass(frozen=True, eq=False)
class Warp:
    """N warps: color [N, 3, H, W], the others [N, 1, H, W]; 0 where neither covered nor guessed."""

    color: Tensor
    coverage: Tensor
    depth: Tensor
    confidence: Tensor
    guessed: Tensor


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
    measured = references.measured.flatten(1)[which]
    index, closed = _shown(only(splats, measured) if references.guess else splats, size)
    if references.guess:
        guess, _ = _shown(only(splats, ~measured), size)
        index = torch.where(index >= 0, index, guess)
    layers = sample(references, which, splats, index, closed, size)
    guessed = ~measured.gather(1, index.clamp(min=0)).view(-1, 1, *size)
    shown = layers[:, 3:4]
    return Warp(layers[:, :3], shown * ~guessed, layers[:, 4:5], layers[:, 5:6], shown * guessed)


def _shown(splats: Splats, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the splat that each pixel shows, and where a gap was closed, [N, H·W]."""
    return close(splats, draw(splats, size), size)


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
