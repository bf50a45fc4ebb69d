"""Convex solids and exact ray casting against them, batched over scenes, on any torch device.

Every solid is a unit box, ball or cylinder under a rotation, a translation and a scale. A ray meets
a convex solid over one interval of its parameter, so the three kinds share one rule: the visible hit
is where the interval begins, or where it ends for a ray that starts inside (the walls of a room).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NEAR = 1e-4
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Solids:
    """B scenes of P solids: boxes first, then balls, then cylinders.

    Attributes:
        counts: how many of the P slots are boxes, balls and cylinders.
        rotation: [B, P, 3, 3] world from local axes.
        centre: [B, P, 3] metres, in the world.
        half: [B, P, 3] metres, half the size along each local axis; a cylinder stands along z.
    """

    counts: tuple[int, int, int]
    rotation: Tensor
    centre: Tensor
    half: Tensor

    def select(self, scene: int, slots: Tensor) -> "Solids":
        """Return one scene's solids at the sorted indices ``slots`` [K], as a batch of one."""
        ends = torch.tensor(self.counts, device=slots.device).cumsum(0)
        below = torch.searchsorted(slots, ends).tolist()
        counts = (below[0], below[1] - below[0], below[2] - below[1])
        parts = (part[scene : scene + 1, slots] for part in (self.rotation, self.centre, self.half))
        return Solids(counts, *parts)

    def unit_from_world(self) -> tuple[Tensor, Tensor]:
        """Return the maps into each unit solid: linear [B, 3, P, 3] and offset [B, 3, P]."""
        linear = (self.rotation / self.half[..., None, :]).permute(0, 3, 1, 2)
        return linear, -torch.einsum("bapk,bpk->bap", linear, self.centre)


def cast(solids: Solids, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Find the first solid each ray meets.

    Args:
        solids: B scenes.
        origin: [B, R, 3] or, where all rays of a scene start together, [B, 1, 3].
        direction: [B, R, 3], of any length.

    Returns:
        The ray parameter [B, R] of the hit (in lengths of ``direction``, infinite where nothing is
        met) and the slot [B, R] of the solid met.
    """
    distance = crossings(solids, origin, direction)
    found = distance.min(dim=1)
    return found.values, found.indices


def crossings(solids: Solids, origin: Tensor, direction: Tensor) -> Tensor:
    """Return the ray parameter [B, P, R] at which each solid is met, infinite where it is not."""
    linear, offset = solids.unit_from_world()
    batch, _, slots, _ = linear.shape
    flat = linear.reshape(batch, 3 * slots, 3)
    # The coordinate leads, so that every later operation runs over contiguous rays.
    along = (flat @ direction.transpose(1, 2)).view(batch, 3, slots, -1)
    start = (flat @ origin.transpose(1, 2)).view(batch, 3, slots, -1) + offset[..., None]
    enter, leave = _intervals(solids.counts, start, along)
    first = torch.where(enter > NEAR, enter, leave)
    return torch.where((leave >= enter) & (first > NEAR), first, torch.inf)


def _intervals(counts: tuple[int, int, int], start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Return where each ray enters and leaves each unit solid, [B, P, R] both."""
    kinds = zip(torch.split(start, list(counts), 2), torch.split(along, list(counts), 2), strict=True)
    parts = [rule(*rays) for rule, rays in zip((_box, _ball, _cylinder), kinds, strict=True)]
    return torch.cat([part[0] for part in parts], 1), torch.cat([part[1] for part in parts], 1)


def _slab(start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    inverse = 1.0 / torch.where(along.abs() < _TINY, _TINY, along)
    middle, reach = -start * inverse, inverse.abs()
    return middle - reach, middle + reach


def _box(start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    enter, leave = _slab(start, along)
    return enter.amax(1), leave.amin(1)


def _quadric(start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Solve |start + t along| = 1; an empty interval where there is no solution."""
    a = along.square().sum(1).clamp_min(_TINY)
    b = (start * along).sum(1)
    root = b.square() - a * (start.square().sum(1) - 1.0)
    reach = torch.where(root >= 0, root.clamp_min(0).sqrt(), -torch.inf)
    return (-b - reach) / a, (-b + reach) / a


def _ball(start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    return _quadric(start, along)


def _cylinder(start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    side, ends = _quadric(start[:, :2], along[:, :2]), _slab(start[:, 2], along[:, 2])
    return torch.maximum(side[0], ends[0]), torch.minimum(side[1], ends[1])


def surface_distance(solids: Solids, points: Tensor) -> Tensor:
    """Return a lower bound of the distance from points to each solid's surface.

    Args:
        solids: B scenes.
        points: [B, R, 3] in the world.

    Returns:
        [B, P, R] metres, negative inside. Exact for boxes outside and for round balls and cylinders.
    """
    local = torch.einsum("bpji,bprj->bpir", solids.rotation, points[:, None] - solids.centre[:, :, None])
    half = solids.half[..., None]
    boxes, balls, cylinders = zip(
        torch.split(local, list(solids.counts), 1), torch.split(half, list(solids.counts), 1), strict=True
    )
    return torch.cat([_box_distance(*boxes), _ball_distance(*balls), _cylinder_distance(*cylinders)], 1)


def _box_distance(local: Tensor, half: Tensor) -> Tensor:
    beyond = local.abs() - half
    return beyond.clamp_min(0).square().sum(2).sqrt() + beyond.amax(2).clamp_max(0)


def _ball_distance(local: Tensor, half: Tensor) -> Tensor:
    return ((local / half).square().sum(2).sqrt() - 1.0) * half.amin(2)


def _cylinder_distance(local: Tensor, half: Tensor) -> Tensor:
    side = ((local[:, :, :2] / half[:, :, :2]).square().sum(2).sqrt() - 1.0) * half[:, :, :2].amin(2)
    beyond = torch.stack([side, local[:, :, 2].abs() - half[:, :, 2]], 2)
    return beyond.clamp_min(0).square().sum(2).sqrt() + beyond.amax(2).clamp_max(0)
