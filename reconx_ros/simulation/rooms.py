"""Random furnished rooms."""

import math

import numpy as np

from reconx_ros.simulation import furniture
from reconx_ros.simulation.anchor import Anchor
from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.lighting import bake
from reconx_ros.simulation.scene import Scene

_WALLS = (
    ("paint", ("d8cdb8", "c8b898"), 0.3),
    ("paint", ("a8b8b0", "8fa49c"), 0.3),
    ("stripes", ("cfc6b0", "b8a888", "8a6a4a"), 0.16),
    ("stripes", ("a9b9c4", "8fa2b2", "e8e4d8"), 0.14),
    ("paint", ("c98f6a", "b87a58"), 0.3),
    ("bricks", ("9a5440", "7a3f30", "b8aa98"), 0.24),
    ("bricks", ("c8b8a0", "a89880", "8a8070"), 0.26),
)
_FLOORS = (
    ("checker", ("d8d2c4", "4a4640"), 0.32),
    ("tiles", ("c8beb0", "a89a88", "5a6a78"), 0.3),
    ("terrazzo", ("c4bdb0", "8a5a48", "4a5a5a"), 0.05),
    ("planks", ("a8784a", "7a5230", "2a1a10"), 0.13),
    ("planks", ("6a4a34", "4a3224", "1a100a"), 0.15),
)


def room(seed: int, spacing: float = 0.1, samples: int = 16) -> Scene:
    """Return a furnished room with baked light, a batch of one.

    The same seed gives the same room. Furniture stands along the walls around a low table, so that a
    camera above 1 m finds free space in the middle.

    Args:
        seed: any non-negative integer.
        spacing: metres between light-map texels.
        samples: shadow samples per texel and lamp.
    """
    builder = SceneBuilder(seed)
    random = builder.random
    size = (random.uniform(4.8, 5.8), random.uniform(4.4, 5.2), random.uniform(2.55, 2.85))
    _shell(builder, size)
    pieces = [_living, _library, _daylight, _gallery]
    walls = _anchors(builder, size)
    turn, mirror = int(random.integers(4)), bool(random.integers(2))
    order = pieces[::-1] if mirror else pieces
    for number, wall in enumerate(walls):
        order[(number + turn) % 4](wall)
    _middle(builder)
    _ceiling_lamp(builder, size)
    builder.ambient = (0.25, 0.245, 0.24)
    return bake(builder.build(), spacing, samples)


def _shell(builder: SceneBuilder, size: tuple[float, float, float]) -> None:
    random = builder.random
    walls = random.choice(len(_WALLS), 3, replace=False)
    looks = [builder.material(*_WALLS[int(at)]) for at in (walls[0], walls[1], walls[2], walls[0])]
    floor = builder.material(*_FLOORS[int(random.integers(len(_FLOORS)))])
    ceiling = builder.material("paint", ("e8e4dc", "dcd6ca"))
    builder.box((0, 0, size[2] / 2), size, (*looks, floor, ceiling), hollow=True)
    skirting = builder.material("wood", ("e0d8c8", "cfc4b0"))
    for side in (-1, 1):
        builder.box((side * (size[0] / 2 - 0.008), 0, 0.05), (0.016, size[1], 0.1), skirting)
        builder.box((0, side * (size[1] / 2 - 0.008), 0.05), (size[0], 0.016, 0.1), skirting)


def _anchors(builder: SceneBuilder, size: tuple[float, float, float]) -> list[Anchor]:
    """Return the four walls in order around the room, each seen from inside."""
    x, y = size[0] / 2, size[1] / 2
    return [
        Anchor(builder, (0, -y, 0), 0.0, size[0]),
        Anchor(builder, (x, 0, 0), math.pi / 2, size[1]),
        Anchor(builder, (0, y, 0), math.pi, size[0]),
        Anchor(builder, (-x, 0, 0), -math.pi / 2, size[1]),
    ]


def _living(wall: Anchor) -> None:
    """A sofa under paintings, with a lamp beside it."""
    random = wall.builder.random
    x = random.uniform(-0.25, 0.25)
    furniture.sofa(wall, x, random.uniform(1.8, 2.1))
    furniture.picture(
        wall, x - 0.5, 1.62, (random.uniform(0.8, 1.0), random.uniform(0.6, 0.75)), "painting"
    )
    furniture.picture(
        wall, x + 0.5, 1.62, (random.uniform(0.5, 0.65), random.uniform(0.6, 0.8)), "painting"
    )
    furniture.floor_lamp(wall, x + random.choice([-1.0, 1.0]) * 1.35, 0.35)


def _library(wall: Anchor) -> None:
    """Bookcases of different heights, and a plant."""
    random = wall.builder.random
    furniture.bookcase(wall, -0.55, random.uniform(1.1, 1.3), random.uniform(1.9, 2.15))
    furniture.bookcase(wall, 0.65, 1.0, random.uniform(1.05, 1.45))
    furniture.plant(wall, 1.5, 0.35)
    furniture.picture(wall, 0.65, 1.95, (0.7, 0.5), "painting")


def _daylight(wall: Anchor) -> None:
    """A window over a writing table."""
    random = wall.builder.random
    x = random.uniform(-0.3, 0.3)
    furniture.glazing(wall, x, 1.55, (random.uniform(1.3, 1.6), random.uniform(1.1, 1.3)), 8.5)
    furniture.table(wall, (x, 0.55), (1.3, 0.65, 0.74), 4)
    furniture.picture(wall, x + 1.5, 1.5, (0.42, 0.6), "poster")


def _gallery(wall: Anchor) -> None:
    """A sideboard under posters and paintings."""
    random = wall.builder.random
    furniture.sideboard(wall, random.uniform(-0.2, 0.2), random.uniform(1.4, 1.7))
    for x, pattern in zip(
        (-1.25, -0.35, 0.55, 1.35), ("poster", "painting", "poster", "painting"), strict=True
    ):
        height = random.uniform(0.55, 0.85)
        furniture.picture(wall, x, random.uniform(1.5, 1.7), (0.7 * height + 0.1, height), pattern)
    furniture.plant(wall, -1.6, 0.4)


def _middle(builder: SceneBuilder) -> None:
    """A low table on a rug."""
    random = builder.random
    turn = random.uniform(-0.2, 0.2)
    colours = (
        ("7a2a24", "d8b878", "24344a"),
        ("2a4a5a", "d8c8a0", "8a3a2a"),
        ("5a4a6a", "c8b890", "2a5a4a"),
    )
    weave = builder.material("rug", furniture.pick(builder, colours), random.uniform(0.22, 0.34))
    builder.box((0, 0, 0.006), (2.4, 1.7, 0.012), weave, turn)
    centre = Anchor(builder, (0, 0, 0.012), turn, 2.0)
    furniture.table(centre, (0.0, 0.0), (1.0, 0.6, 0.42), 3)


def _ceiling_lamp(builder: SceneBuilder, size: tuple[float, float, float]) -> None:
    lit = builder.material("paint", ("fff4e0", "fff0d8"), glow=1.6)
    builder.box((0, 0, size[2] - 0.02), (0.9, 0.9, 0.04), lit)
    first, second = np.array([0.45, 0, 0]), np.array([0, -0.45, 0])
    builder.lamp((0, 0, size[2] - 0.05), first, second, (5.4, 4.9, 4.2))
