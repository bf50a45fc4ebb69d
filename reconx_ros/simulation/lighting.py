"""Soft light, computed once a scene: lamps with area, and ambient light with occlusion.

For every texel of every face, irradiance / pi = sum over lamps of radiance x cos x cos' x area /
(pi r^2) over points on the lamp that are in sight, plus the ambient light from the directions of the
hemisphere in which nothing is near. Light is diffuse only, so a surface point has one colour from
wherever it is seen.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize, pad

from reconx_ros.simulation.cores import on_cores
from reconx_ros.simulation.scene import Lightmap, Scene
from reconx_ros.simulation.solids import Solids, cast
from reconx_ros.simulation.surface import FACES, chart_points, kind_of_slot

_LIFT = 2e-3
_CHUNK = 200_000
_BLOCK = 1.0


def bake(scene: Scene, spacing: float = 0.1, samples: int = 16, reach: float = 1.0) -> Scene:
    """Return ``scene`` with its light baked.

    Args:
        scene: B scenes; they are baked one by one.
        spacing: metres between the texels of the light map.
        samples: points on each lamp and, again, directions of ambient light (rounded down to a square).
        reach: metres within which a surface takes ambient light away.
    """
    maps = [_bake_one(scene, number, spacing, samples, reach) for number in range(scene.batch)]
    longest = max(len(texels) for _, texels in maps)
    filled = [torch.cat([texels, texels.new_zeros(longest - len(texels), 3)]) for _, texels in maps]
    return replace(scene, lightmap=Lightmap(torch.stack([chart for chart, _ in maps]), torch.stack(filled)))


def _bake_one(
    scene: Scene, number: int, spacing: float, samples: int, reach: float
) -> tuple[Tensor, Tensor]:
    slots = torch.arange(scene.hollow.shape[1], device=scene.device)
    solids = scene.solids.select(number, slots)
    chart = _layout(solids, spacing)
    points, normals = _texel_points(solids, chart, scene.hollow[number])
    points = points + _LIFT * normals
    light = torch.empty_like(points)
    lights, side = scene.lights, math.isqrt(samples)
    # Lamps hang inside a room, so its hull never stands between a lamp and a surface.
    blockers = (~scene.hollow[number]).nonzero()[:, 0]

    def work(rows: Tensor) -> None:
        at, up, jitter = points[rows], normals[rows], _jitter(rows, side)
        middle, radius = _ball(at)
        near = solids.select(0, _between(solids, slots, middle, middle, radius + reach))
        sum_ = _ambient(near, at, up, jitter, reach) * scene.ambient[number]
        for lamp in range(lights.centre.shape[1]):
            shape = (lights.centre[number, lamp], lights.first[number, lamp], lights.second[number, lamp])
            wide = torch.maximum(radius, (shape[1].square().sum() + shape[2].square().sum()).sqrt())
            found = solids.select(0, _between(solids, blockers, middle, shape[0], wide))
            sum_ = sum_ + _from_lamp(found, at, up, shape, jitter) * lights.radiance[number, lamp]
        light[rows] = sum_

    on_cores(work, _blocks(points, normals))
    return chart, _smooth(chart, light)


def _blocks(points: Tensor, normals: Tensor) -> list[Tensor]:
    """Split texels [T, 3] into groups that lie together and face the same way."""
    place = ((points - points.amin(0)) / _BLOCK).long()
    facing = normals.abs().argmax(1) * 2 + (normals.sum(1) > 0)
    key = ((place[:, 0] * 256 + place[:, 1]) * 256 + place[:, 2]) * 6 + facing
    order = torch.argsort(key, stable=True)
    sizes = torch.unique_consecutive(key[order], return_counts=True)[1]
    return list(torch.split(order, sizes.tolist()))


def _ball(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centre and radius of a ball around points [N, 3]."""
    middle = (points.amin(0) + points.amax(0)) / 2
    return middle, (points - middle).square().sum(1).sqrt().amax()


def _between(solids: Solids, slots: Tensor, start: Tensor, end: Tensor, radius: Tensor) -> Tensor:
    """Return those of ``slots`` whose bounding ball comes within ``radius`` of a segment."""
    axis, toward = end - start, solids.centre[0, slots] - start
    along = ((toward @ axis) / axis.square().sum().clamp_min(1e-12)).clamp(0, 1)
    away = (toward - along[:, None] * axis).square().sum(1).sqrt()
    return slots[away <= radius + solids.half[0, slots].square().sum(1).sqrt()]


def _layout(solids: Solids, spacing: float) -> Tensor:
    """Return the chart table [P, 6, 3]: first texel, columns, rows of each face."""
    x, y, z = solids.half[0].unbind(1)
    kind = kind_of_slot(solids.counts, x.device)
    first = torch.stack([y, y, x, x, x, x], 1)
    first[:, 0] = torch.where(kind == 2, math.pi * (x + y) / 2, first[:, 0])
    second = torch.stack([z, z, z, z, y, y], 1)
    size = torch.stack([first, second], 2) * 2.0 / spacing
    # Two texels at least, for light is interpolated between their centres.
    size = size.ceil().long().clamp(2, 128)
    area = size.prod(2)
    begin = area.flatten().cumsum(0).view_as(area) - area
    return torch.cat([begin[..., None], size], 2)


def _texel_points(solids: Solids, chart: Tensor, hollow: Tensor) -> tuple[Tensor, Tensor]:
    """Return points and normals [T, 3] of all texels, normals toward the open side."""
    flat = chart.view(-1, 3)
    owner = torch.repeat_interleave(torch.arange(len(flat), device=flat.device), flat[:, 1:].prod(1))
    begin, columns, rows = flat[owner].unbind(1)
    within = torch.arange(len(owner), device=flat.device) - begin
    column, row = within % columns, within // columns
    place = torch.stack([(2 * column + 1) / columns - 1, (2 * row + 1) / rows - 1], 1)
    solid, face = owner // FACES, owner % FACES
    kind = kind_of_slot(solids.counts, flat.device)[solid]
    frame = (solids.rotation[0, solid], solids.centre[0, solid], solids.half[0, solid])
    points, normals = chart_points(kind, face, place, *frame)
    return points, torch.where(hollow[solid][:, None], -normals, normals)


def _jitter(rows: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return two numbers in [0, 1) [N, S] for each texel, stratified over its S = side^2 samples."""
    index = torch.arange(side * side, device=rows.device, dtype=torch.float64)
    # Steps of irrational ratio spread evenly over neighbouring texels (an R2 sequence).
    first = (rows[:, None] * 0.7548776662466927 + index * 0.31) % 1.0
    second = (rows[:, None] * 0.5698402909980532 + index * 0.73) % 1.0
    column, row = index % side, index // side
    return ((column + first) / side).float(), ((row + second) / side).float()


def _ambient(
    solids: Solids, points: Tensor, normals: Tensor, jitter: tuple[Tensor, Tensor], reach: float
) -> Tensor:
    """Return the open share [N, 1] of the cosine-weighted hemisphere."""
    u, v = jitter
    upright = normals[:, 2:].abs() < 0.9
    helper = torch.where(upright, normals.new_tensor([0.0, 0.0, 1.0]), normals.new_tensor([1.0, 0.0, 0.0]))
    first = normalize(torch.linalg.cross(helper, normals), dim=1)
    second = torch.linalg.cross(normals, first)
    radius, angle = u.sqrt(), 2 * math.pi * v
    local = torch.stack([radius * angle.cos(), radius * angle.sin(), (1 - u).clamp_min(1e-4).sqrt()], 2)
    direction = local @ torch.stack([first, second, normals], 1)
    return (_cast(solids, points, direction) / reach).clamp(0, 1).sqrt().mean(1, keepdim=True)


def _from_lamp(
    solids: Solids,
    points: Tensor,
    normals: Tensor,
    lamp: tuple[Tensor, Tensor, Tensor],
    jitter: tuple[Tensor, Tensor],
) -> Tensor:
    """Return irradiance / (pi x radiance) [N, 1] from one rectangular lamp."""
    centre, first, second = lamp
    u, v = jitter
    shine = torch.linalg.cross(first, second)
    target = centre + (2 * u - 1)[..., None] * first + (2 * v - 1)[..., None] * second
    toward = target - points[:, None]
    facing = (toward * normals[:, None]).sum(2).clamp_min(0) * -(
        toward @ normalize(shine, dim=0)
    ).clamp_max(0)
    received = facing / toward.square().sum(2).square()
    lit = received.amax(1) > 0
    if bool(lit.any()):
        open_ = _cast(solids, points[lit], toward[lit]) >= 1.0 - 1e-3
        received[lit] *= open_
    area: Tensor = 4 * shine.square().sum().sqrt()
    return received.mean(1, keepdim=True) * area / math.pi


def _cast(solids: Solids, points: Tensor, direction: Tensor) -> Tensor:
    """Return the hit parameter [N, S] of S rays from each of N points, a bounded number at a time."""
    count = solids.half.shape[1]
    if count == 0:
        return torch.full_like(direction[..., 0], torch.inf)
    samples = direction.shape[1]
    step = max(1, _CHUNK // (count * samples))
    parts = []
    for start, along in zip(torch.split(points, step), torch.split(direction, step), strict=True):
        origin = start.repeat_interleave(samples, 0)
        parts.append(cast(solids, origin[None], along.flatten(0, 1)[None])[0].view(-1, samples))
    return torch.cat(parts)


def _smooth(chart: Tensor, light: Tensor) -> Tensor:
    """Average each face's light over 3 x 3 texels, to take the sampling noise out."""
    result = torch.empty_like(light)
    for begin, columns, rows in chart.view(-1, 3).tolist():
        cells = slice(begin, begin + columns * rows)
        image = light[cells].view(1, rows, columns, 3).permute(0, 3, 1, 2)
        image = avg_pool2d(pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        result[cells] = image.permute(0, 2, 3, 1).reshape(-1, 3)
    return result


def look_up(lightmap: Lightmap, solid: Tensor, face: Tensor, chart: Tensor) -> Tensor:
    """Return the baked light [N, 3] at chart coordinates [N, 2], bilinearly interpolated."""
    slots = lightmap.chart.shape[1]
    begin, columns, rows = lightmap.chart.view(-1, 3).T[:, solid * FACES + face]
    begin = begin + (solid // slots) * lightmap.texels.shape[1]
    low_x, across = _texel(chart[:, 0], columns)
    low_y, down = _texel(chart[:, 1], rows)
    corner = begin + low_y * columns + low_x
    texels = lightmap.texels.view(-1, 3)
    top = torch.lerp(texels[corner], texels[corner + 1], across[:, None])
    corner = corner + columns
    bottom = torch.lerp(texels[corner], texels[corner + 1], across[:, None])
    return torch.lerp(top, bottom, down[:, None])


def _texel(place: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Return the texel [N] below ``place`` in [-1, 1] among ``count``, and how far past its centre."""
    at = ((place + 1) * (0.5 * count) - 0.5).clamp_min(0)
    low = torch.minimum(at.long(), count - 2).clamp_min(0)
    return low, (at - low).clamp(0, 1)
