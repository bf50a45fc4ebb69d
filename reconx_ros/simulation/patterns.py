"""Procedural textures: what colour a surface has at a point, filtered to the size of a pixel.

Every pattern is a function of ``Texels`` that returns linear reflectance [N, 3]. Steps are widened to
the pixel's footprint and features smaller than it fade to their mean, so nothing shimmers.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from reconx_ros.simulation.noise import cell_random, fractal


@dataclass(frozen=True, eq=False)
class Texels:
    """N points to colour.

    Attributes:
        place: [N, 2] metres from the centre of the face.
        extent: [N, 2] metres, half the size of the face.
        width: [N, 2] metres, footprint of the pixel along each axis.
        colours: [N, 3, 3] the material's three linear RGB colours.
        period: [N] metres, the size of the pattern's repeating unit.
        seed: [N] integer.
    """

    place: Tensor
    extent: Tensor
    width: Tensor
    colours: Tensor
    period: Tensor
    seed: Tensor

    def at(self, rows: Tensor) -> "Texels":
        """Return the texels at ``rows``."""
        return Texels(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


Pattern = Callable[[Texels], Tensor]


def mix(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Blend colours [N, 3] by ``share`` [N] of the second."""
    return first + (second - first) * share[:, None]


def step(value: Tensor, edge: Tensor | float, width: Tensor) -> Tensor:
    """Return the share of a pixel of ``width`` around ``value`` that lies above ``edge``."""
    return ((value - edge) / width.clamp_min(1e-6) + 0.5).clamp(0.0, 1.0)


def line(value: Tensor, half: Tensor | float, width: Tensor) -> Tensor:
    """Return how far lines of half-width ``half`` at the integers cover a pixel at ``value``."""
    half = torch.as_tensor(half, dtype=value.dtype, device=value.device)
    sharp = 1.0 - step((value - value.round()).abs(), half, width)
    # Wider than half a period a pixel sees lines and gaps in their mean proportion.
    blurred = (2.0 * width - 0.6).clamp(0.0, 1.0)
    return sharp + (2.0 * half - sharp) * blurred


def wave(value: Tensor, width: Tensor) -> Tensor:
    """Return a square wave of period 1, +1 around the integers and -1 between, filtered."""
    return 2.0 * line(value, 0.25, width) - 1.0


def shade(colour: Tensor, amount: Tensor) -> Tensor:
    """Brighten or darken colours [N, 3] by the factor ``exp(amount)`` [N]."""
    return colour * amount.exp()[:, None]


def grain(texels: Texels, size: float, octaves: int = 4) -> Tensor:
    """Return fractal noise [N, 3] with coarsest features of ``size`` metres."""
    return fractal(texels.place / size, texels.width.mean(1) / size, texels.seed, octaves)


def paint(texels: Texels) -> Tensor:
    """Plastered and painted: broad stains and fine roughness."""
    broad, fine = grain(texels, 0.9, 3), grain(texels, 0.035, 3)
    tone = 0.16 * broad[:, 0] + 0.14 * fine[:, 1]
    return shade(mix(texels.colours[:, 0], texels.colours[:, 1], 0.3 + 0.3 * broad[:, 2]), tone)


def checker(texels: Texels) -> Tensor:
    """Chequered floor with worn squares."""
    at, width = texels.place / texels.period[:, None], texels.width / texels.period[:, None]
    sign = wave(at[:, 0] / 2, width[:, 0] / 2) * wave(at[:, 1] / 2, width[:, 1] / 2)
    cell = (at + 0.5).floor()
    tone = 0.25 * (cell_random(cell[:, 0], cell[:, 1], texels.seed)[:, 0] - 0.5)
    tone = tone + 0.3 * grain(texels, 0.2)[:, 0]
    return shade(mix(texels.colours[:, 0], texels.colours[:, 1], 0.5 + 0.5 * sign), tone)


def bricks(texels: Texels) -> Tensor:
    """Brick wall in running bond, each brick of its own tone."""
    size = torch.stack([texels.period, texels.period * 0.32], 1)
    at, width = texels.place / size, texels.width / size
    row = at[:, 1].floor()
    along = at[:, 0] + 0.5 * (row % 2) + 0.13 * cell_random(row, row, texels.seed)[:, 1]
    cell = cell_random(along.floor(), row, texels.seed)
    noise = grain(texels, 0.06)
    wobble = 0.02 * noise[:, 2]
    joint = torch.maximum(
        line(along + wobble, 0.025, width[:, 0]), line(at[:, 1] + wobble, 0.075, width[:, 1])
    )
    brick = mix(texels.colours[:, 0], texels.colours[:, 1], cell[:, 0])
    brick = shade(brick, 0.5 * (cell[:, 1] - 0.5) + 0.35 * noise[:, 0])
    return mix(brick, shade(texels.colours[:, 2], 0.25 * noise[:, 1]), joint)


def wood(texels: Texels) -> Tensor:
    """Wood with its fibres along the first axis."""
    return _fibres(texels, texels.place)


def _fibres(texels: Texels, place: Tensor) -> Tensor:
    stretched = place * place.new_tensor([1.2, 14.0])
    width = texels.width.mean(1)
    bend = fractal(place * 1.5, width * 1.5, texels.seed + 3, 2)[:, 0]
    rings = fractal(
        torch.stack([stretched[:, 0] * 0.5, stretched[:, 1] + 1.6 * bend], 1), width * 14, texels.seed
    )
    fine = fractal(place * place.new_tensor([9.0, 160.0]), width * 160, texels.seed + 7, 2)
    colour = mix(texels.colours[:, 0], texels.colours[:, 1], (0.5 + 0.8 * rings[:, 0]).clamp(0, 1))
    return shade(colour, 0.18 * fine[:, 0] + 0.12 * rings[:, 1])


def planks(texels: Texels) -> Tensor:
    """Floor boards of random length offset and tone."""
    row_at = texels.place[:, 1] / texels.period
    row = row_at.floor()
    length = texels.period * 9.0
    shift = cell_random(row, row * 0, texels.seed)
    along = texels.place[:, 0] / length + shift[:, 0]
    cell = cell_random(along.floor(), row, texels.seed)
    place = texels.place + 7.0 * cell[:, :2]
    colour = shade(_fibres(texels, place), 0.7 * (cell[:, 2] - 0.5))
    gap = torch.maximum(
        line(row_at, 0.012, texels.width[:, 1] / texels.period),
        line(along, 0.0014, texels.width[:, 0] / length),
    )
    return mix(colour, texels.colours[:, 2], gap)


def tiles(texels: Texels) -> Tensor:
    """Glazed tiles with grout; some carry a motif."""
    at, width = texels.place / texels.period[:, None], texels.width / texels.period[:, None]
    cell = cell_random(at[:, 0].floor(), at[:, 1].floor(), texels.seed)
    noise = grain(texels, 0.25)
    colour = mix(
        texels.colours[:, 0], texels.colours[:, 1], (0.3 * cell[:, 0] + 0.4 * noise[:, 0]).clamp(0, 1)
    )
    inner = at - at.floor() - 0.5
    mean_width = width.mean(1)
    diamond = inner.abs().sum(1)
    ring = step(diamond, 0.22, mean_width) * (1 - step(diamond, 0.34, mean_width))
    disc = 1 - step(inner.square().sum(1).sqrt(), 0.06 + 0.08 * cell[:, 2], mean_width)
    motif = torch.maximum(ring, disc) * (cell[:, 1] < 0.35)
    colour = mix(colour, texels.colours[:, 2], 0.8 * motif)
    colour = shade(colour, 0.3 * (cell[:, 3] - 0.5) + 0.2 * noise[:, 1])
    grout = torch.maximum(line(at[:, 0], 0.018, width[:, 0]), line(at[:, 1], 0.018, width[:, 1]))
    return mix(colour, 0.5 * colour + 0.12, grout)


def stripes(texels: Texels) -> Tensor:
    """Striped wallpaper or cloth, stripes of uneven width and tone, upright along the second axis."""
    at, width = texels.place[:, 0] / texels.period, texels.width[:, 0] / texels.period
    tone = cell_random((at + 0.5).floor(), at * 0, texels.seed)
    band = line(at, 0.12 + 0.2 * tone[:, 0], width)
    thin = line(at + 0.5, 0.03, width)
    noise = grain(texels, 0.12)
    colour = mix(texels.colours[:, 0], texels.colours[:, 1], band)
    return shade(mix(colour, texels.colours[:, 2], thin), 0.22 * noise[:, 0] + 0.2 * (tone[:, 1] - 0.5))


def marble(texels: Texels) -> Tensor:
    """Veined stone."""
    at = texels.place / texels.period[:, None]
    width = texels.width.mean(1) / texels.period
    warp = fractal(at * 1.3, width * 1.3, texels.seed, 5)
    vein = (1.0 - (at.sum(1) * 1.2 + 1.5 * warp[:, 0]).sin().abs()) ** 6
    cloud = fractal(at * 2.5 + warp[:, :2], width * 2.5, texels.seed + 11, 4)
    colour = mix(texels.colours[:, 0], texels.colours[:, 1], (0.4 + 0.6 * cloud[:, 0]).clamp(0, 1))
    return mix(colour, texels.colours[:, 2], 0.8 * vein)


def fabric(texels: Texels) -> Tensor:
    """Woven cloth: threads, blotches and a loose pattern of dots."""
    threads = texels.place / 0.012
    width = texels.width / 0.012
    weave = wave(threads[:, 0], width[:, 0]) * wave(threads[:, 1], width[:, 1])
    noise = grain(texels, 0.15, 5)
    at = texels.place / texels.period[:, None]
    cell = at.floor()
    random = cell_random(cell[:, 0], cell[:, 1], texels.seed)
    away = (at - cell - 0.3 - 0.4 * random[:, :2]).square().sum(1).sqrt()
    dot = 1 - step(away, 0.08 + 0.16 * random[:, 2], texels.width.mean(1) / texels.period)
    colour = mix(texels.colours[:, 0], texels.colours[:, 1], (0.5 + 0.6 * noise[:, 0]).clamp(0, 1))
    return shade(mix(colour, texels.colours[:, 2], 0.85 * dot), 0.1 * weave + 0.2 * noise[:, 1])


def terrazzo(texels: Texels) -> Tensor:
    """Stone chips of several colours in cement: the nearest of random points, cell by cell."""
    at = texels.place / texels.period[:, None]
    width = texels.width.mean(1) / texels.period
    best = torch.full_like(width, 9.0)
    tone = torch.zeros_like(at)
    # Points keep to the middle half of their cells, so the nearest is in the nearest 2 x 2 cells.
    corner = (at - 0.5).floor()
    for right in (0, 1):
        for down in (0, 1):
            cell = corner + at.new_tensor([right, down])
            random = cell_random(cell[:, 0], cell[:, 1], texels.seed)
            away = (at - cell - 0.25 - 0.5 * random[:, :2]).square().sum(1).sqrt() / (0.4 + random[:, 2])
            tone = torch.where((away < best)[:, None], random[:, 2:], tone)
            best = torch.minimum(best, away)
    chip = (1 - step(best, 0.42, width)) * (1.6 - 1.6 * width).clamp(0, 1)
    colour = mix(texels.colours[:, 1], texels.colours[:, 2], tone[:, 1])
    colour = mix(texels.colours[:, 0], shade(colour, tone[:, 0] - 0.5), chip)
    return shade(colour, 0.25 * grain(texels, 0.3)[:, 0])
