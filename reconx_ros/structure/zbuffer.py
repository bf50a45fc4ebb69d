"""Which splat each target pixel shows: a depth buffer over splats of hierarchical sizes, in torch.

A splat reaches the pixels whose coordinates (``splats.py``) satisfy max|δ| ≤ REACH. Small splats look
at the 2×2 pixels around their centre, larger ones at 4×4 and 8×8, so that a surface stays closed when
the camera comes nearer and costs little when it does not. At each pixel the nearest depth wins; among
splats within one depth step, which are of one surface, the one whose centre is nearest.
"""

import torch
from torch import Tensor

from reconx_ros.structure.splats import Splats

REACH = 0.6
"""A little over one half, so that neighbours overlap in spite of depth noise."""

WINDOWS = (1, 2, 4)
"""Half widths in pixels of the windows that splats of the three sizes look at."""

DEPTH_STEP = 0.01
"""Relative size of a depth step."""

NEAREST = 1e-9
"""Homogeneous depth below which a splat lies behind the camera."""

DISTANCE_LEVELS = 255
DISTANCE_BITS, INDEX_BITS = 8, 26
DEPTH_OFFSET, DEPTH_LIMIT = 8192, 16383
EMPTY = 2**62


def draw(splats: Splats, size: tuple[int, int]) -> Tensor:
    """Return the index of the splat that each pixel shows, [N, H·W] int64, −1 where none."""
    if splats.table.device.type != "cpu":
        return draw_batched(splats, size)
    from reconx_ros.structure.zbuffer_kernel import draw_compiled  # noqa: PLC0415 - numba

    return torch.from_numpy(draw_compiled(splats.table.numpy(), size))


def draw_batched(splats: Splats, size: tuple[int, int]) -> Tensor:
    """``draw`` in torch operations only, for CUDA."""
    height, width = size
    keys = torch.full((len(splats) * height * width,), EMPTY, device=splats.table.device)
    for window, chosen in _by_size(splats):
        _scatter(keys, splats, chosen, window, size)
    index = keys & ((1 << INDEX_BITS) - 1)
    return torch.where(keys == EMPTY, -1, index).view(len(splats), height * width)


def _jacobian(rows: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return centre x, y and ∂pixel/∂δ (4 entries, row by row) at δ = 0."""
    hx, hy, hz, xu, xv, yu, yv, zu, zv, *_ = rows
    x, y = hx / hz, hy / hz
    return (x, y, (xu - x * zu) / hz, (xv - x * zv) / hz, (yu - y * zu) / hz, (yv - y * zv) / hz)


def _by_size(splats: Splats) -> list[tuple[int, tuple[Tensor, Tensor]]]:
    """Return each window with the (image, splat) indices of the drawable splats that need it."""
    rows = splats.table.unbind(1)
    _, _, a, b, c, d = _jacobian(rows)
    extent = REACH * torch.maximum(a.abs() + b.abs(), c.abs() + d.abs())
    faces = (rows[2] > NEAREST) & (rows[9] > 0) & (a * d - b * c > 0)
    smaller, found = torch.zeros_like(faces), []
    for window in WINDOWS:
        fits = faces if window == WINDOWS[-1] else faces & (extent <= window)
        image, splat = torch.nonzero(fits & ~smaller, as_tuple=True)
        found.append((window, (image, splat)))
        smaller = smaller | fits
    return found


def _scatter(
    keys: Tensor, splats: Splats, chosen: tuple[Tensor, Tensor], window: int, size: tuple[int, int]
) -> None:
    """Lower ``keys`` by every pixel in the windows of the chosen splats."""
    image, splat = chosen
    rows = splats.table[image, :, splat].unbind(1)
    x, y, a, b, c, d = _jacobian(rows)
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    step = torch.log(rows[2] / rows[9]) / torch.log1p(torch.tensor(DEPTH_STEP))
    step = (step.floor() + DEPTH_OFFSET).clamp(0, DEPTH_LIMIT).long()
    base = (step << (DISTANCE_BITS + INDEX_BITS)) | splat
    height, width = size
    left, top = x.floor(), y.floor()
    for down in range(1 - window, window + 1):
        for right in range(1 - window, window + 1):
            column, row = left + right, top + down
            away_x, away_y = column - x, row - y
            reach = torch.maximum((a * away_x + b * away_y).abs(), (c * away_x + d * away_y).abs())
            hit = (reach <= REACH) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
            near = (reach[hit] * (DISTANCE_LEVELS / REACH)).long().clamp(max=DISTANCE_LEVELS)
            place = image[hit] * (height * width) + row[hit].long() * width + column[hit].long()
            keys.scatter_reduce_(0, place, base[hit] | (near << INDEX_BITS), "amin")
