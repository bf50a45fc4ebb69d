"""Charts: a point found on a face is the point its chart coordinates name."""

import pytest
import torch

from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.solids import cast
from reconx_ros.simulation.surface import chart_points, kind_of_slot, locate


@pytest.mark.parametrize("kind", ["box", "ball", "cylinder"])
def test_charts_and_points_are_each_others_inverse(kind: str) -> None:
    builder = SceneBuilder(0)
    look = builder.material("paint", ("808080",))
    if kind == "box":
        builder.box((1, 2, 0.5), (0.6, 1.0, 1.4), look, yaw=0.7)
    elif kind == "ball":
        builder.ball((1, 2, 0.5), (0.8, 0.8, 0.8), look)
    else:
        builder.cylinder((1, 2, 0.5), 0.7, 1.2, look)
    builder.lamp((0, 0, 9), (1, 0, 0), (0, 1, 0), (1, 1, 1))
    solids = builder.build().solids
    generator = torch.Generator().manual_seed(0)
    way = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=1)
    origin = solids.centre[0] + 4 * way
    aim = solids.centre[0] + 0.2 * torch.randn(500, 3, generator=generator) - origin
    distance, _ = cast(solids, origin[None], aim[None])
    hit = distance[0].isfinite()
    assert hit.sum() > 300
    points, toward = (origin + distance[0, :, None] * aim)[hit], aim[hit]
    solid = torch.zeros(len(points), dtype=torch.int64)
    found = locate(solids, solid, points.T, torch.zeros(2, 3, len(points)), toward.T)
    again, normals = chart_points(
        kind_of_slot(solids.counts, solid.device)[solid],
        found.face,
        found.chart,
        solids.rotation[0, solid],
        solids.centre[0, solid],
        solids.half[0, solid],
    )
    assert (again - points).abs().max() < 1e-4
    assert (normals - found.normal).abs().max() < 1e-3
    # Points on a rim may lie a rounding error beyond it.
    assert ((found.normal * toward).sum(1) < 1e-3).all()


def test_the_footprint_is_that_of_the_pixel() -> None:
    builder = SceneBuilder(0)
    look = builder.material("paint", ("808080",))
    builder.box((3, 0, 0), (2, 4, 4), look)
    builder.lamp((0, 0, 9), (1, 0, 0), (0, 1, 0), (1, 1, 1))
    solids = builder.build().solids
    # Seen along x at 2 m with f = 100: pixels of 2 cm. At 45 degrees the first axis stretches.
    point = torch.tensor([[2.0], [0.0], [0.0]])
    spread = torch.tensor([[[0.0], [0.02], [0.0]], [[0.0], [0.0], [0.02]]])
    ahead = locate(solids, torch.tensor([0]), point, spread, torch.tensor([[2.0], [0.0], [0.0]]))
    assert ahead.footprint[0].tolist() == pytest.approx([0.02, 0.02], abs=1e-6)
    side = 0.02 / 2**0.5
    spread = torch.tensor([[[-side], [side], [0.0]], [[0.0], [0.0], [0.02]]])
    slanted = locate(solids, torch.tensor([0]), point, spread, torch.tensor([[1.0], [1.0], [0.0]]))
    assert slanted.footprint[0].tolist() == pytest.approx([0.02 * 2**0.5, 0.02], abs=1e-6)
