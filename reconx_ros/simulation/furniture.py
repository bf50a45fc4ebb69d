"""Pieces of furniture, each standing against a wall (see ``Anchor``), with random looks."""

from reconx_ros.simulation.anchor import Anchor
from reconx_ros.simulation.builder import SceneBuilder

WOODS = (("8a5a34", "5c3820"), ("b98b5a", "8d6238"), ("4a3226", "2e1d15"), ("cfae84", "a8845a"))
CLOTHS = (
    ("2f4a5e", "3f6a80", "d8c9a0"),
    ("7a3b34", "9c4f42", "e3cfae"),
    ("4d5a3c", "66754a", "d9d2b0"),
    ("8b7a9a", "6a5a80", "e8dcc0"),
    ("b08a4a", "96703a", "3a4048"),
)
GLAZES = ("b5533c", "2f6f73", "d9b44a", "e6e0d2", "6b4f7a", "3d5a80", "88a05a", "c77d8e")


def pick(builder: SceneBuilder, choices: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return one of the choices."""
    return choices[int(builder.random.integers(len(choices)))]


def wood(builder: SceneBuilder) -> int:
    """Return a new wooden material."""
    return builder.material("wood", pick(builder, WOODS))


def cloth(builder: SceneBuilder) -> int:
    """Return a new woven material."""
    return builder.material("fabric", pick(builder, CLOTHS), builder.random.uniform(0.08, 0.16))


def glaze(builder: SceneBuilder) -> int:
    """Return a new material for small things: glazed, striped, veined or speckled."""
    names = [GLAZES[int(at)] for at in builder.random.choice(len(GLAZES), 3, replace=False)]
    pattern = ("marble", "stripes", "terrazzo", "tiles", "checker")[int(builder.random.integers(5))]
    period = 0.35 if pattern == "marble" else builder.random.uniform(0.05, 0.1)
    return builder.material(pattern, names, period)


def clutter(anchor: Anchor, at: tuple[float, float, float], room: tuple[float, float], count: int) -> None:
    """Set ``count`` small things in a row on a surface of size ``room`` whose middle is ``at``."""
    random = anchor.builder.random
    pitch = room[0] / count
    for number in range(count):
        reach = min(pitch, room[1])
        x = at[0] - room[0] / 2 + (number + 0.5) * pitch
        y = at[1] + random.uniform(-0.5, 0.5) * (room[1] - reach)
        _thing(anchor, (x, y, at[2]), reach * random.uniform(0.5, 0.75))


def _thing(anchor: Anchor, at: tuple[float, float, float], size: float) -> None:
    random, look = anchor.builder.random, glaze(anchor.builder)
    choice = int(random.integers(4))
    if choice == 0:
        anchor.ball(at, (size, size, size), look)
    elif choice == 1:
        height = size * random.uniform(0.9, 1.6)
        anchor.cylinder(at, 0.6 * size, height, look)
        anchor.cylinder((at[0], at[1], at[2] + height), 0.3 * size, 0.4 * size, look)
    elif choice == 2:
        sides = (size * 0.8, size * 0.6, size * random.uniform(0.6, 1.2))
        anchor.box(at, sides, look, random.uniform(-0.5, 0.5))
    else:
        _pile(anchor, at, size)


def _pile(anchor: Anchor, at: tuple[float, float, float], size: float) -> None:
    random, height = anchor.builder.random, at[2]
    for _ in range(3):
        thick = size * random.uniform(0.1, 0.2)
        sides = (size * random.uniform(0.75, 0.95), size * 0.65, thick)
        anchor.box((at[0], at[1], height), sides, glaze(anchor.builder), random.uniform(-0.4, 0.4))
        height += thick


def picture(anchor: Anchor, x: float, z: float, size: tuple[float, float], pattern: str) -> None:
    """Hang a painting or poster of ``size`` (width, height) with its middle at height ``z``."""
    random = anchor.builder.random
    sky = ("8fb3d0", "e8c48a", "c9a0a8", "a8c4a0", "e6e2d4")[int(random.integers(5))]
    land = ("3f5a3a", "7a4a32", "2a3a5a", "8a7a4a", "b0553a")[int(random.integers(5))]
    rim = ("3a2a1c", "b8923f", "222428")[int(random.integers(3))]
    colours = (land, sky, rim) if pattern == "painting" else ("efe9da", land, sky)
    canvas = anchor.builder.material(pattern, colours)
    edge = anchor.builder.material("wood", (rim, "241a12"))
    depth = 0.035 if pattern == "painting" else 0.006
    faces = (edge, edge, edge, canvas, edge, edge)
    anchor.box((x, depth / 2, z - size[1] / 2), (size[0], depth, size[1]), faces)


def sofa(anchor: Anchor, x: float, width: float = 1.9) -> None:
    """Put a sofa with arms, two seats and cushions against the wall."""
    body, seat = cloth(anchor.builder), cloth(anchor.builder)
    anchor.box((x, 0.47, 0.06), (width, 0.85, 0.24), body)
    anchor.box((x, 0.17, 0.30), (width, 0.24, 0.52), body)
    for side in (-1, 1):
        anchor.box((x + side * (width / 2 - 0.1), 0.47, 0.30), (0.2, 0.85, 0.30), body)
        anchor.box((x + side * (width / 4 - 0.05), 0.58, 0.30), (width / 2 - 0.13, 0.60, 0.15), seat, 0.0)
        anchor.box(
            (x + side * 0.27 * width, 0.36, 0.45), (0.40, 0.14, 0.36), cloth(anchor.builder), side * 0.3
        )


def table(anchor: Anchor, at: tuple[float, float], size: tuple[float, float, float], things: int) -> None:
    """Stand a table of ``size`` with ``things`` on it, its middle ``at`` (x, y)."""
    look = wood(anchor.builder)
    thick, leg = 0.035, 0.055
    anchor.box((*at, size[2] - thick), (size[0], size[1], thick), look)
    for x in (-1, 1):
        for y in (-1, 1):
            foot = (at[0] + x * (size[0] / 2 - leg), at[1] + y * (size[1] / 2 - leg), 0.0)
            anchor.box(foot, (leg, leg, size[2] - thick), look)
    clutter(anchor, (*at, size[2]), (0.85 * size[0], 0.8 * size[1]), things)


def bookcase(anchor: Anchor, x: float, width: float, height: float) -> None:
    """Put a bookcase against the wall: carcass, shelves, rows of books, a few things between."""
    builder, look = anchor.builder, wood(anchor.builder)
    depth, thick = 0.30, 0.03
    shelves = max(2, round(height / 0.36))
    pitch = height / shelves
    for side in (-1, 1):
        anchor.box((x + side * (width - thick) / 2, depth / 2, 0.0), (thick, depth, height + thick), look)
    anchor.box((x, 0.01, 0.0), (width, 0.02, height), look)
    for row in range(shelves + 1):
        anchor.box((x, depth / 2, row * pitch), (width - 2 * thick, depth - 0.002, thick), look)
    for row in range(shelves):
        _shelf(anchor, x, (width - 2.4 * thick, pitch - thick), row * pitch + thick, builder)


def _shelf(anchor: Anchor, x: float, room: tuple[float, float], z: float, builder: SceneBuilder) -> None:
    random = builder.random
    share = random.uniform(0.5, 1.0)
    width = room[0] * share
    side = random.choice([-1.0, 1.0])
    spines = builder.material("books", ("6a4a30", "d8b460", "1a120c"), random.uniform(0.055, 0.08))
    paper = builder.material("paint", ("d8cfb8", "bfb398"))
    plain = (paper, paper, paper, spines, paper, paper)
    depth = random.uniform(0.17, 0.23)
    height = room[1] * random.uniform(0.78, 0.95)
    anchor.box((x + side * (room[0] - width) / 2, 0.03 + depth / 2, z), (width, depth, height), plain)
    free = room[0] - width
    if free > 0.14:
        spot = (x - side * width / 2, 0.15, z)
        _thing(anchor, spot, min(0.75 * free, 0.6 * room[1], 0.22))


def sideboard(anchor: Anchor, x: float, width: float = 1.5) -> None:
    """Put a cupboard with three doors and things on top against the wall."""
    builder, look = anchor.builder, wood(anchor.builder)
    door = wood(builder)
    knob = builder.material("paint", ("c0a060", "8a7040"))
    anchor.box((x, 0.23, 0.08), (width, 0.44, 0.68), look)
    pitch = width / 3
    for number in (-1, 0, 1):
        anchor.box((x + number * pitch, 0.455, 0.12), (pitch - 0.03, 0.016, 0.60), door)
        anchor.ball((x + number * pitch + 0.3 * pitch, 0.475, 0.42), (0.03, 0.03, 0.03), knob)
    clutter(anchor, (x, 0.24, 0.76), (0.9 * width, 0.34), 5)


def plant(anchor: Anchor, x: float, y: float) -> None:
    """Stand a plant in a pot: a stem under a cloud of leaf balls."""
    builder, random = anchor.builder, anchor.builder.random
    pot = builder.material("stripes", ("a8603c", "8a4a2c", "d8b088"), 0.09)
    leaf = builder.material("terrazzo", ("24421c", "5a8a3a", "86a84a"), 0.05)
    stem = builder.material("wood", ("5a4428", "3a2a18"))
    anchor.cylinder((x, y, 0.0), 0.34, 0.32, pot)
    anchor.cylinder((x, y, 0.32), 0.04, 0.6, stem)
    for _ in range(7):
        dx, dy = random.uniform(-0.16, 0.16, 2)
        size = random.uniform(0.18, 0.34)
        anchor.ball((x + dx, y + dy, random.uniform(0.6, 1.15)), (size, size, 0.8 * size), leaf)


def floor_lamp(anchor: Anchor, x: float, y: float) -> None:
    """Stand a lamp with a glowing shade."""
    builder = anchor.builder
    metal = builder.material("paint", ("3a3a3c", "242426"))
    shade = builder.material("stripes", ("f0dcb0", "e0c48c", "c8a870"), 0.06, glow=0.9)
    anchor.cylinder((x, y, 0.0), 0.28, 0.03, metal)
    anchor.cylinder((x, y, 0.03), 0.03, 1.35, metal)
    anchor.cylinder((x, y, 1.35), 0.38, 0.30, shade)


def glazing(anchor: Anchor, x: float, z: float, size: tuple[float, float], radiance: float) -> None:
    """Set a bright window of ``size`` with its middle at ``z``, with a frame and a sill."""
    builder = anchor.builder
    view = builder.material("window", ("7fa8d8", "f2f4f4", "5a7a3c"), glow=1.1)
    frame = builder.material("paint", ("e8e4da", "d4cfc2"))
    anchor.box(
        (x, 0.008, z - size[1] / 2),
        (*_flat(size[0], 0.016), size[1]),
        (frame,) * 3 + (view,) + (frame,) * 2,
    )
    anchor.box((x, 0.09, z - size[1] / 2 - 0.05), (size[0] + 0.2, 0.18, 0.04), frame)
    anchor.box((x, 0.03, z + size[1] / 2), (size[0] + 0.16, 0.06, 0.07), frame)
    for side in (-1, 1):
        anchor.box((x + side * (size[0] / 2 + 0.035), 0.03, z - size[1] / 2), (0.07, 0.06, size[1]), frame)
        anchor.box(
            (x + side * (size[0] / 2 + 0.24), 0.07, z - size[1] / 2 - 0.35),
            (0.30, 0.05, size[1] + 0.5),
            _curtain(builder),
        )
    middle = anchor.point(x, 0.03, z)
    first, second = anchor.vector(-size[0] / 2, 0, 0), anchor.vector(0, 0, size[1] / 2)
    builder.lamp(middle, first, second, [radiance * c for c in (0.95, 1.0, 1.08)])


def _curtain(builder: SceneBuilder) -> int:
    return builder.material("stripes", pick(builder, CLOTHS), 0.045)


def _flat(width: float, depth: float) -> tuple[float, float]:
    return width, depth
