"""Semi-global path costs in torch (``stereo.semi_global``): line by line, all paths of one at once."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from reconx_ros.geometry.stereo.cpu.semi_global import NEUTRAL
from reconx_ros.geometry.stereo.semi_global import DIRECTIONS
from reconx_ros.geometry.stereo.volume import UNSEEN

FAR = 1e9


def aggregate(volume: Tensor, image: Tensor, small: float, large: float, edge: float) -> Tensor:
    """Return the summed path costs [H, W, D] int32 of ``volume`` [H, W, D] uint8; see there."""
    total = torch.zeros(volume.shape, dtype=torch.int32, device=volume.device)
    costs = torch.where(volume == UNSEEN, NEUTRAL, volume)
    for down, right in DIRECTIONS:
        if down:
            _walk(costs, image, down, right, (small, large, edge), total)
        else:
            turned = (costs.transpose(0, 1), image.T, right, 0)
            _walk(*turned, (small, large, edge), total.transpose(0, 1))
    return total


def _walk(
    costs: Tensor, image: Tensor, down: int, right: int, price: tuple[float, float, float], total: Tensor
) -> None:
    """Add to ``total`` the paths of one direction: ``down`` line by line, ``right`` along the lines."""
    small, large, edge = price
    rows = range(len(costs)) if down > 0 else range(len(costs) - 1, -1, -1)
    path = torch.zeros_like(costs[0], dtype=torch.float32)
    value = image[rows[0]]
    for count, row in enumerate(rows):
        if count:
            path, value = _beside(path, right, 0.0), _beside(value, right, torch.nan)
        step = (image[row] - value).abs()
        least = path.amin(dim=1)
        price_of_jump = (large / (1 + torch.nan_to_num(step) / edge)).clamp(min=small)
        wide = pad(path, (1, 1), value=FAR)
        near = torch.minimum(wide[:, :-2], wide[:, 2:]) + small
        best = torch.minimum(torch.minimum(path, near), (least + price_of_jump)[:, None])
        path = costs[row].float() + best - least[:, None]
        total[row] += path.to(torch.int32)
        value = image[row]


def _beside(line: Tensor, right: int, fill: float) -> Tensor:
    """Return the values of the pixels before on the paths, ``fill`` where a path begins."""
    if right == 0:
        return line
    moved = torch.roll(line, right, dims=0)
    moved[0 if right > 0 else -1] = fill
    return moved
