"""Scenes for training, many kinds and quick to make: rooms, corridors, clutter, streets.

Their light is coarser than that of ``rooms.room`` at its best: variety teaches more than exact shadows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.lighting import bake
from reconx_ros.simulation.looks import random_look, repainted
from reconx_ros.simulation.rooms import room
from reconx_ros.simulation.scene import Scene

SPACING, SAMPLES = 0.3, 4


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene and where cameras may stand in it.

    Attributes:
        scene: a batch of one, with baked light.
        low: x, y, z in metres, the lowest corner of the box of eye positions.
        high: the highest corner.
    """

    scene: Scene
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def stage(seed: int) -> Stage:
    """Return a stage of random kind; the same seed gives the same one."""
    random = np.random.default_rng([seed, 5])
    kinds: tuple[Callable[[int], Stage], ...] = (
        living,
        living,
        living,
        clutter,
        clutter,
        clutter,
        corridor,
        street,
    )
    return kinds[int(random.integers(len(kinds)))](seed)


def living(seed: int) -> Stage:
    """A furnished room, some of it in other colours."""
    share = float(np.random.default_rng([seed, 6]).choice([0.0, 0.4, 0.9]))
    scene = repainted(room(seed, SPACING, SAMPLES), seed, share)
    return Stage(scene, (-1.9, -1.7, 0.7), (1.9, 1.7, 2.0))


def clutter(seed: int) -> Stage:
    """A bare room full of things of any shape, size and look."""
    builder = SceneBuilder(seed)
    random = builder.random
    size = (random.uniform(3.0, 7.0), random.uniform(3.0, 7.0), random.uniform(2.3, 3.5))
    _hull(builder, size)
    for _ in range(int(random.integers(8, 30))):
        scale = float(np.exp(random.uniform(-2.0, 0.2)))
        x, y = (random.uniform(-0.48, 0.48) * side for side in size[:2])
        floating = random.uniform(0.0, size[2] - 0.5) if random.random() < 0.25 else 0.0
        thing(builder, (x, y, floating), scale)
    _panels(builder, size, int(random.integers(0, 6)))
    _ceiling_lights(builder, size)
    scene = bake(builder.build(), SPACING, SAMPLES)
    x, y = 0.42 * size[0], 0.42 * size[1]
    return Stage(scene, (-x, -y, 0.3), (x, y, size[2] - 0.3))


def corridor(seed: int) -> Stage:
    """A long narrow room with things along its walls and panels on them."""
    builder = SceneBuilder(seed)
    random = builder.random
    size = (random.uniform(1.8, 3.2), random.uniform(7.0, 14.0), random.uniform(2.2, 3.2))
    _hull(builder, size)
    for _ in range(int(random.integers(4, 14))):
        side = random.choice([-1.0, 1.0])
        scale = random.uniform(0.15, 0.6)
        at = (side * (size[0] / 2 - scale / 2), random.uniform(-0.48, 0.48) * size[1], 0.0)
        thing(builder, at, scale)
    _panels(builder, size, int(random.integers(4, 14)))
    _ceiling_lights(builder, size)
    scene = bake(builder.build(), SPACING, SAMPLES)
    x, y = 0.3 * size[0], 0.45 * size[1]
    return Stage(scene, (-x, -y, 0.8), (x, y, size[2] - 0.4))


def street(seed: int) -> Stage:
    """Houses, walls and trees under the sky."""
    builder = SceneBuilder(seed)
    random = builder.random
    builder.box((0, 0, -0.05), (30, 30, 0.1), random_look(builder, large=True))
    for number in range(int(random.integers(5, 10))):
        angle = 2 * np.pi * number / 7 + random.uniform(-0.3, 0.3)
        away, size = random.uniform(6, 11), random.uniform((2, 2, 2), (6, 6, 7))
        look = random_look(builder) if random.random() < 0.3 else _house_look(builder)
        at = (away * np.cos(angle), away * np.sin(angle), size[2] / 2)
        builder.box(at, size, look, random.uniform(-0.5, 0.5))
    for _ in range(int(random.integers(4, 14))):
        x, y = random.uniform(-6, 6, 2)
        thing(builder, (x, y, 0.0), random.uniform(0.3, 1.4))
    east, north = random.uniform(-14, 14, 2)
    _lamp_toward(builder, (east, north, 16.0), 2.0, random.uniform(1.0, 2.2))
    builder.ambient = random.uniform(0.3, 0.55) * np.array([0.95, 1.0, 1.1])
    scene = bake(builder.build(), 5 * SPACING, SAMPLES, reach=2.0)
    return Stage(scene, (-3.5, -3.5, 0.6), (3.5, 3.5, 2.2))


def thing(builder: SceneBuilder, at: tuple[float, float, float], scale: float) -> None:
    """Stand a box, ball or cylinder of about ``scale`` metres with its lowest point ``at``."""
    random = builder.random
    x, y, z = at
    size = scale * np.exp(random.uniform(-0.7, 0.7, 3))
    look = random_look(builder)
    choice = random.random()
    if choice < 0.6:
        other = random_look(builder)
        builder.box(
            (x, y, z + size[2] / 2), size, (look, look, other, look, other, look), random.uniform(0, 3)
        )
    elif choice < 0.8:
        builder.ball((x, y, z + size[2] / 2), size, look)
    else:
        builder.cylinder((x, y, z + size[2] / 2), size[0], size[2], look)


def _hull(builder: SceneBuilder, size: tuple[float, float, float]) -> None:
    looks = [random_look(builder, large=True) for _ in range(6)]
    if builder.random.random() < 0.5:
        looks[1:4] = [looks[0]] * 3
    builder.box((0, 0, size[2] / 2), size, looks, hollow=True)


def _panels(builder: SceneBuilder, size: tuple[float, float, float], count: int) -> None:
    """Hang pictures, doors and windows on the walls."""
    random = builder.random
    for _ in range(count):
        axis, side = int(random.integers(2)), random.choice([-1.0, 1.0])
        extent = random.uniform(0.3, 1.4, 2)
        along = random.uniform(-0.5, 0.5) * max(size[1 - axis] - extent[0], 0.1)
        height = random.uniform(extent[1] / 2, max(size[2] - extent[1] / 2, extent[1]))
        at, shape = np.zeros(3), np.full(3, 0.04)
        at[axis], at[1 - axis], at[2] = side * (size[axis] / 2 - 0.02), along, height
        shape[1 - axis], shape[2] = extent
        builder.box(at, shape, random_look(builder))


def _ceiling_lights(builder: SceneBuilder, size: tuple[float, float, float]) -> None:
    random = builder.random
    for _ in range(int(random.integers(1, 4))):
        x, y = (random.uniform(-0.4, 0.4) * side for side in size[:2])
        reach = random.uniform(0.5, 1.2) * max(size[2], 0.35 * size[1])
        _lamp_toward(builder, (x, y, size[2] - 0.05), 0.4, 0.6 * reach**2 / size[2] ** 2)
    builder.ambient = random.uniform(0.15, 0.45) * random.uniform(0.85, 1.15, 3)


def _lamp_toward(
    builder: SceneBuilder, centre: tuple[float, float, float], half: float, level: float
) -> None:
    """Hang a lamp that shines down and gives about ``level`` of irradiance / π on the floor below."""
    area = 4 * half**2
    radiance = level * np.pi * centre[2] ** 2 / area * builder.random.uniform(0.85, 1.15, 3)
    builder.lamp(centre, (half, 0, 0), (0, -half, 0), radiance)


def _house_look(builder: SceneBuilder) -> int:
    random = builder.random
    colours = [random.bytes(3).hex() for _ in range(3)]
    return builder.material(
        ("facade", "bricks")[int(random.integers(2))], colours, random.uniform(0.5, 1.6)
    )
