"""The cost volume in torch: what ``stereo.volume`` describes, a few planes at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from reconx_ros.geometry.stereo.volume import LEVELS, UNSEEN

WORST = 254
"""Largest cost of what somebody sees."""

FAR = 1e9
"""Cost of a neighbour that does not see the pixel, while neighbours are ranked."""

AT_ONCE = 16_000_000
"""Warped pixels held at a time: about 1 GB with all that is made of them."""


def cost_volume(
    image: Tensor,
    others: Sequence[Tensor],
    transfers: Tensor,
    planes: Tensor,
    radius: int,
    noise: float,
    best_share: float,
) -> Tensor:
    """Return the cost volume [H, W, D] uint8, as ``stereo.volume.cost_volume`` does.

    Args:
        image: [H, W] float32 grey values in [0, 1].
        others: of the K neighbours.
        transfers: [K, 3, 4].
        planes: [D] inverse depths.
        radius: half the window in pixels.
        noise: standard deviation of grey values that is no texture.
        best_share: share of the neighbours that see a pixel that counts.
    """
    several = max(1, AT_ONCE // (image.numel() * len(others)))
    parts = []
    for some in torch.split(planes, several):
        costs = torch.stack(
            [
                _costs(image, other, t, some, radius, noise**2)
                for other, t in zip(others, transfers, strict=True)
            ]
        )
        parts.append(_combined(costs, best_share))
    return torch.cat(parts).permute(1, 2, 0).contiguous()


def _correlation(image: Tensor, warped: Tensor, radius: int, noise: float) -> Tensor:
    """Return 1 - NCC [N, H, W] of one image [1, 1, H, W] and N warped ones over the square window."""

    def mean(values: Tensor) -> Tensor:
        sides = pad(values, (radius, radius, radius, radius), mode="replicate")
        return avg_pool2d(sides, 2 * radius + 1, stride=1)

    own, other = mean(image), mean(warped)
    own_variance = (mean(image * image) - own * own + noise).clamp(min=noise)
    variance = (mean(warped * warped) - other * other + noise).clamp(min=noise)
    covariance = mean(warped * image) - own * other
    return (1 - covariance / (variance.sqrt() * own_variance.sqrt()))[:, 0]


def _costs(
    image: Tensor, other: Tensor, carry: Tensor, planes: Tensor, radius: int, noise: float
) -> Tensor:
    """Return the costs [N, H, W] of one neighbour on N planes, NaN where it does not see the pixel."""
    grid, inside = _grid(image.shape, other.shape, carry, planes)
    several = other.expand(len(planes), 1, *other.shape)
    warped = grid_sample(several, grid, padding_mode="border", align_corners=True)
    inside[:, :, :radius] = False
    inside[:, :, image.shape[1] - radius :] = False
    costs = _correlation(image[None, None], warped, radius, noise)
    return torch.where(inside, costs, torch.nan)


def _grid(size: torch.Size, other: torch.Size, carry: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Return where pixels on N planes lie in a neighbour, [N, H, W, 2] in [-1, 1], and whether inside."""
    y, x = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float32, device=carry.device) for n in size), indexing="ij"
    )
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    at = pixels @ carry[:, :3].T + planes[:, None, None, None] * carry[:, 3]
    last = torch.tensor([other[1] - 1, other[0] - 1], dtype=torch.float32, device=carry.device)
    place = at[..., :2] / at[..., 2:]
    inside = (at[..., 2] > 1e-6) & ((place >= 0) & (place <= last)).all(dim=-1)
    return torch.nan_to_num(2 * place / last - 1, 0.0, 4.0, -4.0).clamp(-4, 4), inside


def _combined(costs: Tensor, share: float) -> Tensor:
    """Return the mean of the better share of the costs [K, N, H, W] in levels, [N, H, W] uint8."""
    seen = torch.isfinite(costs)
    count = seen.sum(dim=0)
    used = (share * count).ceil().clamp(min=1)
    ranked = torch.where(seen, costs, FAR).sort(dim=0).values
    rank = torch.arange(len(costs), device=costs.device).view(-1, 1, 1, 1)
    total = torch.where(rank < used, ranked, 0).sum(dim=0)
    levels = (total / used * LEVELS + 0.5).clamp(0, WORST)
    return torch.where(count > 0, levels, UNSEEN).to(torch.uint8)
