"""Materials: a pattern with its colours, and the table of them that a scene carries."""

from dataclasses import dataclass, fields

from torch import Tensor

from reconx_ros.simulation import decor, patterns
from reconx_ros.simulation.patterns import Pattern, Texels

PATTERNS: dict[str, Pattern] = {
    "paint": patterns.paint,
    "checker": patterns.checker,
    "bricks": patterns.bricks,
    "wood": patterns.wood,
    "planks": patterns.planks,
    "tiles": patterns.tiles,
    "stripes": patterns.stripes,
    "marble": patterns.marble,
    "fabric": patterns.fabric,
    "terrazzo": patterns.terrazzo,
    "painting": decor.painting,
    "poster": decor.poster,
    "rug": decor.rug,
    "books": decor.books,
    "window": decor.window,
    "facade": decor.facade,
}
PATTERN_ID = {name: number for number, name in enumerate(PATTERNS)}


@dataclass(frozen=True, eq=False)
class Materials:
    """M materials of each of B scenes.

    Attributes:
        pattern: [B, M] index into ``PATTERNS``.
        colours: [B, M, 3, 3] three linear RGB colours.
        period: [B, M] metres.
        seed: [B, M].
        glow: [B, M] light given off, as a multiple of the reflectance; 0 for most.
    """

    pattern: Tensor
    colours: Tensor
    period: Tensor
    seed: Tensor
    glow: Tensor

    def flat(self) -> "Materials":
        """Return the table with B and M merged."""
        return Materials(**{f.name: getattr(self, f.name).flatten(0, 1) for f in fields(self)})


def reflectance(materials: Materials, rows: Tensor, place: Tensor, extent: Tensor, width: Tensor) -> Tensor:
    """Colour N surface points.

    Args:
        materials: flat table (``Materials.flat``).
        rows: [N] row of the table.
        place: [N, 2] metres from the centre of the face.
        extent: [N, 2] metres, half the size of the face.
        width: [N, 2] metres, pixel footprint.

    Returns:
        [N, 3] linear RGB in [0, 1].
    """
    texels = Texels(
        place, extent, width, materials.colours[rows], materials.period[rows], materials.seed[rows]
    )
    pattern = materials.pattern[rows]
    colour = place.new_zeros(len(place), 3)
    for number in pattern.bincount().nonzero()[:, 0].tolist():
        chosen = (pattern == number).nonzero()[:, 0]
        colour[chosen] = list(PATTERNS.values())[number](texels.at(chosen))
    return colour.clamp(0.0, 1.0)
