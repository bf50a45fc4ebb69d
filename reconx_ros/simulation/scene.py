"""A batch of scenes as tensors: solids, materials, lights, baked light, sky."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from reconx_ros.simulation.materials import Materials
from reconx_ros.simulation.solids import Solids

Part = TypeVar("Part", bound="Scene | Solids | Materials | Lights | Lightmap")


@dataclass(frozen=True, eq=False)
class Lights:
    """L rectangular lamps of each of B scenes.

    Attributes:
        centre: [B, L, 3] metres.
        first: [B, L, 3] metres, half of one edge.
        second: [B, L, 3] metres, half of the other edge; the lamp shines along first x second.
        radiance: [B, L, 3] linear RGB.
    """

    centre: Tensor
    first: Tensor
    second: Tensor
    radiance: Tensor


@dataclass(frozen=True, eq=False)
class Lightmap:
    """Irradiance baked onto every face, so that shading a pixel is a look-up.

    Attributes:
        chart: [B, P, 6, 3] integers: where a face's texels begin, its columns, its rows.
        texels: [B, T, 3] irradiance over pi, linear RGB.
    """

    chart: Tensor
    texels: Tensor


@dataclass(frozen=True, eq=False)
class Scene:
    """B scenes.

    Attributes:
        solids: the shapes.
        hollow: [B, P] bool, whether a solid is seen from inside (a room).
        material: [B, P, 6] the row of ``materials`` of each face.
        materials: the material table.
        lights: lamps and sun.
        ambient: [B, 3] light from all around, linear RGB.
        sky: [B, 2, 3] linear RGB at the horizon and overhead, seen where a ray meets nothing.
        lightmap: baked light; empty until ``reconx_ros.simulation.lighting.bake``.
    """

    solids: Solids
    hollow: Tensor
    material: Tensor
    materials: Materials
    lights: Lights
    ambient: Tensor
    sky: Tensor
    lightmap: Lightmap

    @property
    def batch(self) -> int:
        """Return the number of scenes B."""
        return self.hollow.shape[0]

    @property
    def device(self) -> torch.device:
        """Return where the tensors are."""
        return self.hollow.device

    def to(self, device: torch.device | str) -> "Scene":
        """Return the scenes on another device."""
        return _each(self, lambda tensor: tensor.to(device))


def _each(value: Part, change: Callable[[Tensor], Tensor]) -> Part:
    """Apply ``change`` to every tensor in a tree of dataclasses."""
    parts: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, Tensor):
            parts[field.name] = change(part)
        elif is_dataclass(part):
            parts[field.name] = _each(part, change)  # type: ignore[type-var]
    return replace(value, **parts)


def stack(scenes: list[Scene]) -> Scene:
    """Join scenes into one batch; shorter tables are padded with specks far below the ground."""
    counts = tuple(max(scene.solids.counts[kind] for scene in scenes) for kind in range(3))
    slots = [_slots(scene.solids.counts, counts) for scene in scenes]
    total = sum(counts)

    def spread(pick: Callable[[Scene], Tensor], empty: float) -> Tensor:
        parts = []
        for scene, slot in zip(scenes, slots, strict=True):
            value = pick(scene)
            padded = value.new_full((value.shape[0], total, *value.shape[2:]), empty)
            padded[:, slot] = value
            parts.append(padded)
        return torch.cat(parts)

    solids = Solids(
        (counts[0], counts[1], counts[2]),
        spread(lambda s: s.solids.rotation, 0.0),
        spread(lambda s: s.solids.centre, -1e4),
        spread(lambda s: s.solids.half, 1e-3),
    )
    missing = solids.rotation.abs().sum((-1, -2)) == 0
    solids.rotation[missing] = torch.eye(3, device=solids.rotation.device)
    return Scene(
        solids,
        spread(lambda s: s.hollow, 0.0),
        spread(lambda s: s.material, 0),
        _padded([scene.materials for scene in scenes]),
        _padded([scene.lights for scene in scenes]),
        torch.cat([scene.ambient for scene in scenes]),
        torch.cat([scene.sky for scene in scenes]),
        Lightmap(
            spread(lambda s: s.lightmap.chart, 1),
            _padded([scene.lightmap for scene in scenes], only="texels").texels,
        ),
    )


def _slots(counts: tuple[int, ...], room: tuple[int, ...]) -> Tensor:
    """Return where the solids of a scene go in tables with ``room`` slots of each kind."""
    starts = [0, room[0], room[0] + room[1]]
    return torch.cat([torch.arange(n) + start for n, start in zip(counts, starts, strict=True)])


def _padded(tables: list[Part], only: str = "") -> Part:
    """Join [B, N, ...] tables of unequal N, filled up with zeros."""
    joined: dict[str, Any] = {}
    for field in fields(tables[0]):
        values = [getattr(table, field.name) for table in tables]
        if only in ("", field.name):
            longest = max(value.shape[1] for value in values)
            values = [_fill(value, longest) for value in values]
            joined[field.name] = torch.cat(values)
    return replace(tables[0], **joined)


def _fill(value: Tensor, length: int) -> Tensor:
    padded = value.new_zeros(value.shape[0], length, *value.shape[2:])
    padded[:, : value.shape[1]] = value
    return padded
