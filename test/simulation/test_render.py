"""Rendered depth, normals and colour."""

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch

from reconx_ros.simulation import render as rendering
from reconx_ros.simulation.render import View, render
from reconx_ros.simulation.scene import Scene, stack

BALL = ((0.8, 0.2, 1.0), 0.6)
ViewAt = Callable[..., View]


def points_of(view: View, depth: torch.Tensor) -> torch.Tensor:
    rays = view.directions(view.pixels()).view(view.height, view.width, 3)
    return view.world_from_camera[0, :3, 3] + depth[..., None] * rays


def test_every_pixel_lies_on_the_solid_it_shows(plain_scene: Scene, view_at: ViewAt) -> None:
    view = view_at((-1.5, -0.3, 1.3), (0.8, 0.2, 1.0))
    seen = render(plain_scene, view)
    points = points_of(view, seen.depth[0])
    off_wall = (points.abs() - torch.tensor([2.0, 2.5, 3.0])).abs().amin(-1)
    off_wall = torch.minimum(off_wall, points[..., 2].abs())
    off_ball = ((points - torch.tensor(BALL[0])).norm(dim=-1) - BALL[1]).abs()
    on_ball = seen.solid[0] == 1
    assert 0.1 < on_ball.float().mean() < 0.5
    assert off_ball[on_ball].max() < 1e-4
    assert off_wall[~on_ball].max() < 1e-4
    outward = (points - torch.tensor(BALL[0])) / BALL[1]
    assert (seen.normal[0] - outward)[on_ball].abs().max() < 1e-3


def warp_error(scene: Scene, first: View, second: View) -> tuple[torch.Tensor, float]:
    """Colour differences of pixels of the second view carried into the first, and their share."""
    a, b = render(scene, first), render(scene, second)
    points = points_of(second, b.depth[0]).view(-1, 3)
    local = (points - first.world_from_camera[0, :3, 3]) @ first.world_from_camera[0, :3, :3]
    pixels = (local / local[:, 2:]) @ first.intrinsics[0, :2].T
    grid = (pixels + 0.5) / torch.tensor([first.width, first.height]) * 2 - 1
    sample = torch.nn.functional.grid_sample
    images = torch.cat([a.color[0].permute(2, 0, 1), a.depth[0][None]])[None]
    carried = sample(images, grid[None, None], align_corners=False)[0, :, 0].T
    visible = (grid.abs() < 1).all(1) & (local[:, 2] > 0) & ((carried[:, 3] - local[:, 2]).abs() < 0.003)
    return (carried[:, :3] - b.color[0].view(-1, 3))[visible].abs().mean(1), float(visible.float().mean())


def test_a_surface_keeps_its_colour_from_view_to_view(furnished: Scene, view_at: ViewAt) -> None:
    first = view_at((-1.0, -0.4, 1.4), (1.0, 1.0, 1.0), 320, 240)
    second = view_at((-0.8, -0.5, 1.45), (1.0, 1.0, 1.0), 320, 240)
    errors, share = warp_error(furnished, first, second)
    assert share > 0.5
    assert errors.median() < 0.006
    assert errors.mean() < 0.02
    # The same with no regard to depth differs far more: the test can fail.
    unmoved = (render(furnished, first).color - render(furnished, second).color).abs().mean()
    assert unmoved > 3 * errors.mean()


def test_texture_below_a_pixel_fades_instead_of_flickering(furnished: Scene, view_at: ViewAt) -> None:
    """Seen at a quarter of the size, a picture is the average of the large one."""
    large = render(furnished, view_at((-1.0, -0.4, 1.4), (1.0, 1.0, 1.0), 640, 480)).color
    small = render(furnished, view_at((-1.0, -0.4, 1.4), (1.0, 1.0, 1.0), 160, 120)).color
    averaged = torch.nn.functional.avg_pool2d(large.permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1)
    assert (small - averaged).abs().mean() < 0.02


def test_tiles_and_one_batch_give_the_same(furnished: Scene, view_at: ViewAt) -> None:
    view = view_at((0.9, -0.6, 1.5), (-1.0, 0.8, 0.9))
    tiled = rendering._render_one(furnished, view, 0, antialias=False)
    whole = rendering._render_batch(furnished, view, antialias=False)
    assert torch.equal(tiled[3], whole.solid)
    assert torch.allclose(tiled[1], whole.depth, atol=1e-5)
    assert (tiled[0] - whole.color).abs().mean() < 1e-4


def test_a_stack_renders_as_its_scenes_do(plain_scene: Scene, furnished: Scene, view_at: ViewAt) -> None:
    views = [view_at((-1.2, 0.3, 1.4), (1, 0, 1)), view_at((0.9, -0.6, 1.5), (-1, 0.8, 0.9))]
    joined = View(
        torch.cat([view.intrinsics for view in views]),
        torch.cat([view.world_from_camera for view in views]),
        160,
        120,
    )
    both = render(stack([plain_scene, furnished]), joined)
    for number, (scene, view) in enumerate(zip((plain_scene, furnished), views, strict=True)):
        alone = render(scene, view)
        assert torch.allclose(both.depth[number], alone.depth[0], atol=1e-5)
        assert (both.color[number] - alone.color[0]).abs().mean() < 1e-4


def test_the_same_view_is_the_same_to_the_bit(furnished: Scene, view_at: ViewAt) -> None:
    view = view_at((0.9, -0.6, 1.5), (-1.0, 0.8, 0.9))
    first, second = render(furnished, view), render(furnished, view)
    for field in fields(first):
        assert torch.equal(getattr(first, field.name), getattr(second, field.name))


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives(furnished: Scene, view_at: ViewAt) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    view = view_at((0.9, -0.6, 1.5), (-1.0, 0.8, 0.9))
    there = View(view.intrinsics.cuda(), view.world_from_camera.cuda(), view.width, view.height)
    on_gpu, on_cpu = render(furnished.to("cuda"), there), render(furnished, view)
    assert (on_gpu.solid.cpu() == on_cpu.solid).float().mean() > 0.999
    assert (on_gpu.color.cpu() - on_cpu.color).abs().mean() < 0.01
