"""The winning plane in torch (``stereo.winner``)."""

import torch
from torch import Tensor

from reconx_ros.geometry.stereo.cpu.winner import APART
from reconx_ros.geometry.stereo.volume import LEVELS, UNSEEN

MOST = 65535.0


def choose_winner(volume: Tensor, total: Tensor, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return inverse depth, cost (1 - NCC) and margin, each [H, W] float32; see ``stereo.winner``."""
    depths = total.shape[2]
    best = total.argmin(dim=2, keepdim=True)
    cost = volume.gather(2, best)[..., 0]
    sums = total.float()
    plane = torch.arange(depths, device=total.device)
    apart = (plane - best).abs() > APART
    second = torch.where(apart, sums, MOST).amin(dim=2)
    least = sums.gather(2, best)[..., 0]
    left, right = (sums.gather(2, (best + side).clamp(0, depths - 1))[..., 0] for side in (-1, 1))
    bend = left + right - 2 * least
    inner = (best[..., 0] > 0) & (best[..., 0] < depths - 1) & (bend > 0)
    offset = torch.where(inner, 0.5 * (left - right) / bend, 0)
    seen = cost != UNSEEN
    inverse = torch.where(seen, planes[best[..., 0]] + offset * (planes[1] - planes[0]), torch.nan)
    margin = torch.where(seen, 1 - least / second.clamp(min=1), 0)
    return inverse, torch.where(seen, cost / LEVELS, torch.nan), margin
