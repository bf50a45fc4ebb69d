"""Which solids a part of the image can see: a bound that makes ray casting on the CPU quick."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reconx_ros.simulation.solids import Solids, cast

if TYPE_CHECKING:
    from reconx_ros.simulation.render import View

_TILE = 64


class Tiles:
    """An image cut into square tiles, each with the list of the solids it may show.

    A solid may show in a tile where the cone around its bounding ball meets the cone around the
    tile's rays.
    """

    def __init__(self, solids: Solids, scene: int, view: "View") -> None:
        """Find the candidates of every tile of ``view`` (a batch of one) in one of the scenes."""
        self._columns = -(-view.width // _TILE)
        self._rows = -(-view.height // _TILE)
        self._origin = view.world_from_camera[:, None, :3, 3]
        candidates = self._candidates(solids, scene, view)
        self._solids: list[tuple[Tensor, Solids]] = []
        for row in candidates:
            slots = row.nonzero()[:, 0]
            self._solids.append((slots, solids.select(scene, slots)))

    def _candidates(self, solids: Solids, scene: int, view: "View") -> Tensor:
        """Return [tiles, P] bool."""
        axis, angle = self._cones(view)
        toward = solids.centre[scene] - self._origin[0]
        away = toward.square().sum(1).sqrt().clamp_min(1e-9)
        radius = solids.half[scene].square().sum(1).sqrt()
        width = torch.asin((radius / away).clamp(max=1.0))
        between = torch.acos((axis @ (toward / away[:, None]).T).clamp(-1, 1))
        return (between <= angle[:, None] + width + 1e-3) | (away <= radius)

    def _cones(self, view: "View") -> tuple[Tensor, Tensor]:
        """Return the axis [tiles, 3] and half angle [tiles] of each tile's rays."""
        x = torch.arange(self._columns) * _TILE - 0.5
        y = torch.arange(self._rows) * _TILE - 0.5
        corners = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1).reshape(-1, 1, 2)
        offsets = torch.tensor([[0.5, 0.5], [0, 0], [1, 0], [0, 1], [1, 1]]) * _TILE
        rays = view.directions((corners + offsets).reshape(-1, 2))[0].view(-1, 5, 3)
        rays = torch.nn.functional.normalize(rays, dim=2)
        cosine = (rays[:, 1:] * rays[:, :1]).sum(2).amin(1)
        return rays[:, 0], torch.acos(cosine.clamp(-1, 1))

    def cast(self, pixels: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
        """Return depth [N] and solid [N] at ``pixels`` [N, 2] along ``rays`` [N, 3]."""
        column = ((pixels[:, 0] + 0.5) / _TILE).long().clamp(0, self._columns - 1)
        row = ((pixels[:, 1] + 0.5) / _TILE).long().clamp(0, self._rows - 1)
        order = torch.argsort(row * self._columns + column, stable=True)
        sizes = torch.bincount(row * self._columns + column, minlength=len(self._solids))
        distance = torch.full((len(pixels),), torch.inf)
        solid = torch.zeros(len(pixels), dtype=torch.int64)
        for rows, (slots, solids) in zip(torch.split(order, sizes.tolist()), self._solids, strict=True):
            if len(rows) and len(slots):
                found, index = cast(solids, self._origin, rays[rows][None])
                distance[rows], solid[rows] = found[0], slots[index[0]]
        return distance, solid
