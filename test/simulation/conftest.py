"""Small scenes shared by the simulation tests."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.lighting import bake
from reconx_ros.simulation.paths import look_at
from reconx_ros.simulation.render import View
from reconx_ros.simulation.rooms import room
from reconx_ros.simulation.scene import Scene


def make_view(
    eye: tuple[float, ...], target: tuple[float, ...], width: int = 160, height: int = 120
) -> View:
    """A camera of 62.7 degrees at ``eye`` looking at ``target``."""
    focal = 525.0 * width / 640.0
    k = torch.tensor([[[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]]])
    pose = look_at(np.array([eye]), np.array([target]))
    return View(k, torch.from_numpy(pose).float(), width, height)


@pytest.fixture(autouse=True, scope="module")
def one_thread(one_torch_thread: None) -> None:
    """Every test of this room has it."""


@pytest.fixture(scope="session")
def view_at() -> Callable[..., View]:
    """The function that makes a camera."""
    return make_view


@pytest.fixture(scope="session")
def plain_scene() -> Scene:
    """A ball of radius 0.6 m at (0.8, 0.2, 1) in an empty room 4 x 5 x 3 m."""
    builder = SceneBuilder(3)
    wall = builder.material("paint", ("c0b8a8", "a89888"))
    look = builder.material("marble", ("b04030", "d0b090", "303040"), 0.3)
    builder.box((0, 0, 1.5), (4.0, 5.0, 3.0), wall, hollow=True)
    builder.ball((0.8, 0.2, 1.0), (1.2, 1.2, 1.2), look)
    builder.lamp((0, 0, 2.9), (0.4, 0, 0), (0, -0.4, 0), (6.0, 6.0, 6.0))
    return bake(builder.build(), 0.2, 4)


@pytest.fixture(scope="session")
def furnished() -> Scene:
    """The first furnished room, with coarse light."""
    return room(0, 0.15, 4)
