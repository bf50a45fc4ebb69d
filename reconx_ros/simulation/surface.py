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
        points: [3, N] in the world.
        spread: [2, 3, N] metres, how the ray's end moves, at fixed depth, from one pixel to the next
            one right and the next one down.
        toward: [3, N] direction of the ray.
    """
    # Coordinates lead in here: sums over a last axis of three are slow on the CPU.
    rotation = solids.rotation.reshape(-1, 9).T[:, solid].view(3, 3, -1)
    half = solids.half.reshape(-1, 3).T[:, solid]
    kind = kind_of_slot(solids.counts, solid.device)[solid % solids.centre.shape[1]]
    local = _into(rotation, points - solids.centre.reshape(-1, 3).T[:, solid])
    face, outward = _face(kind, local / half)
    normal = outward / half
    normal = normal / normal.square().sum(0).sqrt()
    steps = [_into(rotation, step) for step in spread]
    moved = _slide(steps, _into(rotation, toward), normal)
    chart, extent, footprint = _chart(kind, face, local, half, moved)
    return Surface(solid, face, chart.T, extent.T, (rotation * normal).sum(1).T, footprint.T)


def _into(rotation: Tensor, vector: Tensor) -> Tensor:
    """Return world vectors [3, N] in local axes, given world from local [3, 3, N]."""
    return (rotation * vector[:, None]).sum(0)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-12)


def _face(kind: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Return the face [N] and the unit solid's outward normal there [3, N]."""
    size = unit.abs()
    axis = torch.where(size[1] > size[0], 1, 0)
    axis = torch.where(size[2] > torch.maximum(size[0], size[1]), 2, axis)
    pillar = kind == CYLINDER
    on_end = pillar & (size[2] >= unit[:2].square().sum(0).sqrt())
    side = pillar & ~on_end
    axis = torch.where(on_end, 2, axis)
    positive = unit.gather(0, axis[None])[0] > 0
    face = torch.where(side, 0, 2 * axis + positive.long())
    flat = torch.stack([axis == number for number in range(3)]) * torch.where(positive, 1.0, -1.0)
    level = torch.stack([unit[0], unit[1], torch.zeros_like(unit[2])])
    return face, torch.where(kind == BALL, unit, torch.where(side, level, flat))


def _slide(steps: list[Tensor], toward: Tensor, normal: Tensor) -> list[Tensor]:
    """Move the ends of neighbouring rays along their rays onto the tangent plane, [3, N] each."""
    slope = (normal * toward).sum(0)
    slope = torch.where(slope.abs() < 1e-3, 1e-3, slope)
    return [step - (step * normal).sum(0) / slope * toward for step in steps]


def _chart(
    kind: Tensor, face: Tensor, local: Tensor, half: Tensor, moved: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return chart coordinates, half extents and footprints, each [2, N]."""
    axis = face // 2
    axes = torch.stack([_FIRST.to(face.device)[axis], _SECOND.to(face.device)[axis]])
    extent = half.gather(0, axes)
    chart = local.gather(0, axes) / extent
    steps = (moved[0].abs() + moved[1].abs()).gather(0, axes)
    unit = local / half
    depth = unit.gather(0, axis[None]).abs().clamp_min(1e-6)
    chart = torch.where(kind == BALL, chart / depth, chart)
    side = (kind == CYLINDER) & (face == 0)
    if bool(side.any()):
        around = torch.atan2(unit[1], unit[0]) / torch.pi
        turn = sum(((step[1] * unit[0] - step[0] * unit[1]).abs() for step in moved), around * 0)
        rise = moved[0][2].abs() + moved[1][2].abs()
        radius = (half[0] + half[1]) / 2
        chart = torch.where(side, torch.stack([around, unit[2]]), chart)
        extent = torch.where(side, torch.stack([torch.pi * radius, half[2]]), extent)
        steps = torch.where(side, torch.stack([turn, rise]), steps)
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
