"""Baked light against the closed form of a small lamp, and shadows."""

import math

import pytest
import torch

from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.lighting import bake, look_up
from reconx_ros.simulation.scene import Scene

FLOOR = 4


def lit(block: bool) -> Scene:
    """A lamp of 10 x 10 cm, 2 m above the floor of an empty hall; perhaps a board between."""
    builder = SceneBuilder(0)
    look = builder.material("paint", ("808080",))
    builder.ambient = (0.0, 0.0, 0.0)
    builder.box((0, 0, 2), (8, 8, 4), look, hollow=True)
    if block:
        builder.box((0, 0, 1), (1, 1, 0.02), look)
    builder.lamp((0, 0, 2), (0.05, 0, 0), (0, -0.05, 0), (100.0, 50.0, 0.0))
    return bake(builder.build(), 0.1, 16)


def floor_light(scene: Scene, x: float) -> torch.Tensor:
    place = torch.tensor([[x / 4.0, 0.0]])
    return look_up(scene.lightmap, torch.tensor([0]), torch.tensor([FLOOR]), place)[0]


@pytest.mark.parametrize("x", [0.0, 1.0, 2.5])
def test_a_small_lamp_lights_by_the_inverse_square(x: float) -> None:
    square = x**2 + 2.0**2
    cosine = 2.0 / math.sqrt(square)
    expected = 0.01 * cosine**2 / (math.pi * square)
    light = floor_light(lit(block=False), x)
    assert light[0] == pytest.approx(100 * expected, rel=0.02)
    assert light[1] == pytest.approx(50 * expected, rel=0.02)
    assert light[2] == 0


def test_a_board_casts_the_shadow_geometry_says() -> None:
    scene = lit(block=True)
    # A board 1 m wide halfway up casts a shadow 2 m wide, with 5 cm of half shadow at its edge.
    assert floor_light(scene, 0.8)[0] == 0
    assert floor_light(scene, 1.3)[0] == pytest.approx(float(floor_light(lit(False), 1.3)[0]), rel=1e-4)


def test_corners_get_less_ambient_light() -> None:
    builder = SceneBuilder(0)
    look = builder.material("paint", ("808080",))
    builder.ambient = (1.0, 1.0, 1.0)
    builder.box((0, 0, 2), (8, 8, 4), look, hollow=True)
    builder.lamp((0, 0, 3.9), (0.1, 0, 0), (0, -0.1, 0), (0.0, 0.0, 0.0))
    scene = bake(builder.build(), 0.2, 36, reach=1.0)
    assert floor_light(scene, 0.0)[0] == pytest.approx(1.0, abs=1e-3)
    assert 0.5 < floor_light(scene, 3.9)[0] < 0.85
