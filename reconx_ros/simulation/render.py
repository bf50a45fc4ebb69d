"""Rendering: exact depth, normals and anti-aliased colour of a batch of scenes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.simulation.culling import Tiles
from reconx_ros.simulation.lighting import look_up
from reconx_ros.simulation.materials import reflectance
from reconx_ros.simulation.noise import fractal
from reconx_ros.simulation.scene import Scene
from reconx_ros.simulation.solids import cast
from reconx_ros.simulation.surface import locate

_CHUNK = 60_000_000
_SHADED = 1 << 16
_SUBPIXELS = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))


@dataclass(frozen=True, eq=False)
class Rendering:
    """What the cameras see.

    Attributes:
        color: [B, H, W, 3] float32 sRGB-like in [0, 1].
        depth: [B, H, W] float32 metres along the optical axis, NaN where nothing is met.
        normal: [B, H, W, 3] float32 unit, in the world, toward the camera; 0 where nothing is met.
        solid: [B, H, W] int64 the solid seen (index into P), -1 where nothing is met.
    """

    color: Tensor
    depth: Tensor
    normal: Tensor
    solid: Tensor


@dataclass(frozen=True, eq=False)
class View:
    """One pinhole camera in each of B scenes.

    Attributes:
        intrinsics: [B, 3, 3] pixels, the centre of the top-left pixel at (0, 0).
        world_from_camera: [B, 4, 4].
        width: pixels.
        height: pixels.
    """

    intrinsics: Tensor
    world_from_camera: Tensor
    width: int
    height: int

    def pixels(self) -> Tensor:
        """Return [H * W, 2] the coordinates (x, y) of all pixels, row by row."""
        device = self.intrinsics.device
        rows, columns = torch.meshgrid(
            torch.arange(self.height, device=device), torch.arange(self.width, device=device), indexing="ij"
        )
        return torch.stack([columns, rows], -1).reshape(-1, 2).float()

    def directions(self, pixels: Tensor) -> Tensor:
        """Return world directions [B, N, 3] of unit depth through ``pixels`` [N, 2]."""
        homogeneous = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
        turn = self.world_from_camera[:, :3, :3] @ torch.linalg.inv(self.intrinsics)
        rays: Tensor = homogeneous @ turn.transpose(1, 2)
        return rays

    def of(self, scene: int) -> "View":
        """Return one scene's camera as a batch of one."""
        one = slice(scene, scene + 1)
        return View(self.intrinsics[one], self.world_from_camera[one], self.width, self.height)


def render(scene: Scene, view: View, antialias: bool = True) -> Rendering:
    """Render every scene through its camera.

    On the CPU each image is cut into tiles, each tile meets only the solids near it, and only pixels
    on edges are sampled four times. On a GPU all scenes go through in one batch and every pixel is
    sampled four times. Depth, normal and solid always belong to the centre of the pixel.

    Args:
        scene: B scenes with baked light.
        view: B cameras on the same device.
        antialias: whether to take four samples of a pixel's colour.
    """
    with torch.no_grad():
        if scene.device.type != "cpu":
            return _render_batch(scene, view, antialias)
        parts = [_render_one(scene, view, number, antialias) for number in range(scene.batch)]
        return Rendering(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _render_batch(scene: Scene, view: View, antialias: bool) -> Rendering:
    pixels = view.pixels()
    light, distance, normal, solid = _shoot_batch(scene, view, pixels)
    color = tone(light)
    if antialias:
        moved = [tone(_shoot_batch(scene, view, pixels + pixels.new_tensor(by))[0]) for by in _SUBPIXELS]
        color = torch.stack(moved).mean(0)
    shape = (scene.batch, view.height, view.width)
    return Rendering(color.view(*shape, 3), distance.view(shape), normal.view(*shape, 3), solid.view(shape))


def _shoot_batch(scene: Scene, view: View, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return light [B, N, 3], depth [B, N], normal [B, N, 3] and solid [B, N] at ``pixels`` [N, 2]."""
    slots = scene.hollow.shape[1]
    step = max(1, _CHUNK // (scene.batch * slots))
    parts = []
    for some in torch.split(pixels, step):
        rays = view.directions(some)
        origin = view.world_from_camera[:, None, :3, 3]
        distance, solid = cast(scene.solids, origin, rays)
        number = torch.arange(scene.batch, device=scene.device)[:, None].expand_as(solid)
        seen = _shade(
            scene, view, number.flatten(), rays.flatten(0, 1), distance.flatten(), solid.flatten()
        )
        parts.append([part.view(scene.batch, len(some), *part.shape[1:]) for part in seen])
    light, distance, normal, solid = (torch.cat(part, 1) for part in zip(*parts, strict=True))
    return light, distance, normal, solid


def _render_one(
    scene: Scene, view: View, number: int, antialias: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Render one scene on the CPU; returns the parts of a ``Rendering`` of batch one."""
    tiles = Tiles(scene.solids, number, view.of(number))
    shape = (1, view.height, view.width)
    light, distance, normal, solid = _shoot_tiles(scene, view, number, tiles, view.pixels())
    color = tone(light)
    if antialias:
        edges = _edges(solid.view(shape)[0], normal.view(*shape, 3)[0])
        chosen = edges.flatten().nonzero()[:, 0]
        around = view.pixels()[chosen][:, None] + torch.tensor(_SUBPIXELS)
        samples = _shoot_tiles(scene, view, number, tiles, around.reshape(-1, 2))[0]
        color[chosen] = tone(samples).view(-1, len(_SUBPIXELS), 3).mean(1)
    return color.view(*shape, 3), distance.view(shape), normal.view(*shape, 3), solid.view(shape)


def _shoot_tiles(
    scene: Scene, view: View, number: int, tiles: Tiles, pixels: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return light [N, 3], depth [N], normal [N, 3] and solid [N] at ``pixels`` [N, 2]."""
    rays = view.of(number).directions(pixels)[0]
    distance, solid = tiles.cast(pixels, rays)
    parts = []
    for some in torch.split(torch.arange(len(pixels)), _SHADED):
        owner = torch.full((len(some),), number)
        parts.append(_shade(scene, view, owner, rays[some], distance[some], solid[some]))
    light, depth, normal, seen = (torch.cat(part) for part in zip(*parts, strict=True))
    return light, depth, normal, seen


def _edges(solid: Tensor, normal: Tensor) -> Tensor:
    """Return [H, W] the pixels beside a change of solid or face."""
    mark = torch.zeros_like(solid, dtype=torch.bool)
    for axis in (0, 1):
        size = solid.shape[axis] - 1
        first, second = slice(0, size), slice(1, size + 1)
        near, far = ((first,), (second,)) if axis == 0 else ((slice(None), first), (slice(None), second))
        change = (solid[near] != solid[far]) | ((normal[near] * normal[far]).sum(-1) < 0.9)
        mark[near] |= change
        mark[far] |= change
    return mark


def _shade(
    scene: Scene, view: View, number: Tensor, rays: Tensor, distance: Tensor, solid: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour N rays of scenes ``number`` [N]; returns light, depth, normal and solid."""
    light, normal = torch.zeros_like(rays), torch.zeros_like(rays)
    met = distance.isfinite()
    depth, seen = torch.where(met, distance, torch.nan), torch.where(met, solid, -1)
    if not bool(met.all()):
        missed = (~met).nonzero()[:, 0]
        light[missed] = _sky(scene, number[missed], rays[missed])
    hit = met.nonzero()[:, 0]
    if len(hit) == 0:
        return light, depth, normal, seen
    owner, far, toward = number[hit], distance[hit], rays[hit].T.contiguous()
    index = owner * scene.hollow.shape[1] + solid[hit]
    points = view.world_from_camera[:, :3, 3].T[:, owner] + far * toward
    surface = locate(scene.solids, index, points, _spread(view, owner, far), toward)
    rows = scene.material.flatten(0, 1)[index, surface.face] + owner * scene.materials.seed.shape[1]
    materials = scene.materials.flat()
    place = surface.chart * surface.extent
    colour = reflectance(materials, rows, place, surface.extent, surface.footprint)
    baked = look_up(scene.lightmap, index, surface.face, surface.chart)
    light[hit] = colour * (baked + materials.glow[rows][:, None])
    facing = (surface.normal.T * toward).sum(0) < 0
    normal[hit] = torch.where(facing[:, None], surface.normal, -surface.normal)
    return light, depth, normal, seen


def _spread(view: View, owner: Tensor, distance: Tensor) -> Tensor:
    """Return [2, 3, N] metres: the step at the hit's depth from one pixel to its neighbours."""
    pitch = 1.0 / torch.stack([view.intrinsics[:, 0, 0], view.intrinsics[:, 1, 1]], 1)
    axes = view.world_from_camera[:, :3, :2].transpose(1, 2) * pitch[..., None]
    return axes.permute(1, 2, 0)[:, :, owner] * distance


def _sky(scene: Scene, number: Tensor, rays: Tensor) -> Tensor:
    """Return the light [N, 3] of the sky: brighter at the horizon, with clouds."""
    up = torch.nn.functional.normalize(rays, dim=1)[:, 2].clamp(0, 1)[:, None]
    low, high = scene.sky[number].unbind(1)
    blue = low + (high - low) * up.sqrt()
    plane = rays[:, :2] / rays[:, 2:].abs().clamp_min(1e-3)
    cloud = fractal(plane * 0.8, (up[:, 0] < 0.05).float(), number * 0 + 5, 5)[:, :1]
    return blue + (0.9 - blue) * (cloud * 1.4 * up.sqrt()).clamp(0, 0.8)


def tone(light: Tensor) -> Tensor:
    """Map linear light to display values in [0, 1]: a soft shoulder, then gamma 2.2."""
    return (1.0 - torch.exp(-1.6 * light.clamp_min(0))).pow(1 / 2.2)
