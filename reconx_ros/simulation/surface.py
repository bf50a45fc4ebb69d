"""Where on its solid a ray has landed: face, coordinates on the face, normal, pixel footprint.

A box has six faces, numbered -x, +x, -y, +y, -z, +z in local axes. A ball has the six faces of the
cube it fills; a cylinder has its side (face 0) and its two ends (faces 4 and 5). On every face runs a
chart (a, b) in [-1, 1]^2; textures and baked light are looked up in it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.simulation.solids import Solids

FACES = 6
BOX, BALL, CYLINDER = 0, 1, 2
_FIRST = torch.tensor([1, 0, 0])
_SECOND = torch.tensor([2, 2, 1])


@dataclass(frozen=True, eq=False)
class Surface:
    """N points on solids.

    Attributes:
        solid: [N] index into the B * P solids of the batch.
        face: [N] 0 to 5.
        chart: [N, 2] coordinates on the face in [-1, 1].
        extent: [N, 2] metres, half the size of the face along its chart.
        normal: [N, 3] unit, in the world, outward.
        footprint: [N, 2] metres, what one pixel covers along the chart.
    """

    solid: Tensor
    face: Tensor
    chart: Tensor
    extent: Tensor
    normal: Tensor
    footprint: Tensor


def kind_of_slot(counts: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return [P] the kind (``BOX``, ``BALL``, ``CYLINDER``) of each slot."""
    return torch.repeat_interleave(torch.arange(3, device=device), torch.tensor(counts, device=device))


def locate(solids: Solids, solid: Tensor, points: Tensor, spread: Tensor, toward: Tensor) -> Surface:
    """Describe points that lie on solids.

    Args:
        solids: B scenes of P solids.
        solid: [N] index into B * P.
        points: [N, 3] in the world.
        spread: [N, 2, 3] metres, how the ray's end moves, at fixed depth, from one pixel to the next
            one right and the next one down.
        toward: [N, 3] direction of the ray.
    """
    slots = solids.centre.shape[1]
    rotation = solids.rotation.reshape(-1, 3, 3)[solid]
    half = solids.half.reshape(-1, 3)[solid]
    kind = kind_of_slot(solids.counts, solid.device)[solid % slots]
    local = _into(rotation, points - solids.centre.reshape(-1, 3)[solid])
    face, outward = _face(kind, local / half)
    normal = _unit(outward / half)
    moved = _slide(spread, toward, torch.einsum("nij,nj->ni", rotation, normal))
    moved = torch.einsum("nkj,nji->nki", moved, rotation)
    chart, extent, footprint = _chart(kind, face, local, half, moved)
    world_normal = torch.einsum("nij,nj->ni", rotation, normal)
    return Surface(solid, face, chart, extent, world_normal, footprint)


def _into(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation * vector[:, :, None]).sum(1)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-12)


def _face(kind: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Return the face [N] and the unit solid's outward normal there [N, 3]."""
    axis = unit.abs().argmax(1)
    on_end = (kind == CYLINDER) & (unit[:, 2].abs() >= unit[:, :2].square().sum(1).sqrt())
    axis = torch.where(on_end, 2, axis)
    positive = unit.gather(1, axis[:, None])[:, 0] > 0
    face = 2 * axis + positive.long()
    flat = torch.nn.functional.one_hot(axis, 3) * torch.where(positive, 1.0, -1.0)[:, None]
    side = (kind == CYLINDER) & ~on_end
    face = torch.where(side, 0, face)
    round_normal = unit * torch.where(side[:, None], unit.new_tensor([1.0, 1.0, 0.0]), 1.0)
    curved = (side | (kind == BALL))[:, None]
    return face, torch.where(curved, round_normal, flat)


def _slide(spread: Tensor, toward: Tensor, normal: Tensor) -> Tensor:
    """Move the ends of neighbouring rays along their rays onto the tangent plane, [N, 2, 3]."""
    slope = (normal * toward).sum(1)
    slope = torch.where(slope.abs() < 1e-3, 1e-3, slope)
    ahead = torch.einsum("nkj,nj->nk", spread, normal) / slope[:, None]
    return spread - ahead[..., None] * toward[:, None]


def _chart(
    kind: Tensor, face: Tensor, local: Tensor, half: Tensor, moved: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return chart coordinates, half extents and footprints, each [N, 2]."""
    axes = torch.stack([_FIRST.to(face.device)[face // 2], _SECOND.to(face.device)[face // 2]], 1)
    extent = half.gather(1, axes)
    chart = local.gather(1, axes) / extent
    steps = moved.abs().sum(1).gather(1, axes)
    unit = local / half
    depth = unit.gather(1, (face // 2)[:, None]).abs().clamp_min(1e-6)
    chart = torch.where((kind == BALL)[:, None], chart / depth, chart)
    side = (kind == CYLINDER) & (face == 0)
    if bool(side.any()):
        around = torch.atan2(unit[:, 1], unit[:, 0]) / torch.pi
        radius = half[:, :2].mean(1)
        tangent = torch.stack([-unit[:, 1], unit[:, 0], torch.zeros_like(around)], 1)
        turn = torch.einsum("nkj,nj->nk", moved, tangent).abs().sum(1)
        on_side = torch.stack([around, unit[:, 2]], 1)
        chart = torch.where(side[:, None], on_side, chart)
        extent = torch.where(side[:, None], torch.stack([torch.pi * radius, half[:, 2]], 1), extent)
        steps = torch.where(side[:, None], torch.stack([turn, moved[..., 2].abs().sum(1)], 1), steps)
    return chart.clamp(-1, 1), extent, steps


def chart_points(
    kind: Tensor, face: Tensor, chart: Tensor, rotation: Tensor, centre: Tensor, half: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the world points and outward normals at chart coordinates (the inverse of ``locate``).

    Args:
        kind: [N] kind of each point's solid.
        face: [N] 0 to 5.
        chart: [N, 2] in [-1, 1].
        rotation: [N, 3, 3] world from local, of each point's solid.
        centre: [N, 3] of each point's solid.
        half: [N, 3] of each point's solid.
    """
    axis = face // 2
    sign = torch.where(face % 2 == 1, 1.0, -1.0)
    axes = torch.stack([_FIRST.to(face.device)[axis], _SECOND.to(face.device)[axis], axis], 1)
    values = torch.cat([chart, sign[:, None].to(chart.dtype)], 1)
    unit = torch.zeros_like(half).scatter(1, axes, values)
    outward = torch.nn.functional.one_hot(axis, 3) * sign[:, None]
    angle = chart[:, 0] * torch.pi
    round_unit = torch.stack([angle.cos(), angle.sin(), chart[:, 1]], 1)
    round_normal = round_unit * round_unit.new_tensor([1.0, 1.0, 0.0])
    side = ((kind == CYLINDER) & (face == 0))[:, None]
    ball = (kind == BALL)[:, None]
    unit = torch.where(ball, _unit(unit), torch.where(side, round_unit, unit))
    outward = torch.where(ball, unit, torch.where(side, round_normal, outward))
    points = torch.einsum("nij,nj->ni", rotation, unit * half) + centre
    return points, torch.einsum("nij,nj->ni", rotation, _unit(outward / half))
