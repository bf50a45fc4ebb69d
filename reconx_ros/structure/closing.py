"""Close the gaps between samples of one surface, and drop what shows through them.

Depth noise pulls neighbouring splats apart by a pixel or two. Where two opposite neighbours show one
surface and the pixel between them shows nothing, or something behind it, the plane of one neighbour is
continued. A covered pixel is replaced only where the crack is a single pixel wide. Silhouettes and real
holes have no nearer surface on both sides and stay as they are.
"""

import torch
from torch import Tensor

from reconx_ros.structure.reference_surface import same_surface
from reconx_ros.structure.splats import Splats, coordinates

BEHIND = 0.1
"""Relative depth behind its neighbours at which a pixel shows through a crack."""

SPANS = ((1, 1), (1, 2), (2, 1))
"""Steps to the neighbour before and after, nearest first: gaps up to two pixels are closed."""

FARTHEST = 3.0
"""Splat coordinates beyond which a plane is not continued."""


def close(splats: Splats, index: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Close gaps and cracks.

    Args:
        splats: what was drawn.
        index: [N, H·W] splat of each pixel, −1 where none (``draw``).
        size: H, W.

    Returns:
        index with the gaps closed, and where it was changed, [N, H·W] bool.
    """
    if index.device.type != "cpu":
        return close_batched(splats, index, size)
    from reconx_ros.structure.closing_kernel import close_compiled  # noqa: PLC0415 - numba

    now, changed = close_compiled(splats.table.numpy(), index.numpy(), size)
    return torch.from_numpy(now), torch.from_numpy(changed)


def close_batched(splats: Splats, index: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """``close`` in torch operations only, for CUDA."""
    inverse = _inverse_depth(splats, index, size).view(-1, *size)
    now = index.view(-1, *size)
    changed = torch.zeros_like(now, dtype=torch.bool)
    for axis in (2, 1):
        for before, after in SPANS:
            first, second = _slide(inverse, axis, -before), _slide(inverse, axis, after)
            behind = inverse * (1 + BEHIND) < torch.minimum(first, second)
            gap = behind & same_surface(first, second)
            if (before, after) != (1, 1):
                gap = gap & (inverse == 0)
            now = torch.where(gap, _slide(now, axis, -before), now)
            inverse = torch.where(gap, torch.minimum(first, second), inverse)
            changed = changed | gap
    now, changed = now.flatten(1), changed.flatten(1)
    return _within_reach(splats, now, changed, size), changed


def _slide(image: Tensor, axis: int, by: int) -> Tensor:
    """Return the image whose pixel i along ``axis`` is the old i + by; 0 outside."""
    rolled = torch.roll(image, -by, dims=axis)
    length = image.shape[axis]
    outside = slice(length - by, length) if by > 0 else slice(0, -by)
    rolled[(slice(None),) * axis + (outside,)] = 0
    return rolled


def _inverse_depth(splats: Splats, index: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, H·W] inverse depth at each pixel, 0 where nothing is."""
    image, place = torch.nonzero(index >= 0, as_tuple=True)
    rows = splats.table[image, :, index[image, place]].T
    x, y = (place % size[1]).float(), (place // size[1]).float()
    inverse = torch.zeros(index.shape, device=index.device, dtype=splats.table.dtype)
    inverse[image, place] = coordinates(rows, x, y)[2]
    return inverse


def _within_reach(splats: Splats, index: Tensor, changed: Tensor, size: tuple[int, int]) -> Tensor:
    """Open again what would continue a plane too far or past its horizon."""
    image, place = torch.nonzero(changed, as_tuple=True)
    rows = splats.table[image, :, index[image, place]].T
    u, v, inverse = coordinates(rows, (place % size[1]).float(), (place // size[1]).float())
    far = (torch.maximum(u.abs(), v.abs()) > FARTHEST) | ~(inverse > 0)
    index = index.clone()
    index[image[far], place[far]] = -1
    return index
