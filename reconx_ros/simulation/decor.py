"""Patterns that fill a whole face once: paintings, posters, rugs, book spines, windows, façades."""

import torch
from torch import Tensor

from reconx_ros.simulation.noise import cell_random, fractal
from reconx_ros.simulation.patterns import Texels, grain, line, mix, shade, step


def _frame(texels: Texels, border: float) -> Tensor:
    """Return the share of each pixel within ``border`` metres of the face's rim."""
    inside = texels.extent - texels.place.abs()
    return 1 - step(inside.amin(1), border, texels.width.mean(1))


def painting(texels: Texels) -> Tensor:
    """A framed canvas: sky to ground, under a dozen random ellipses and bars, with brush strokes."""
    at = texels.place / texels.extent.amin(1, keepdim=True)
    width = texels.width.mean(1) / texels.extent.amin(1)
    noise = fractal(at * 1.7, width * 1.7, texels.seed, 5)
    rise = texels.place[:, 1] / texels.extent[:, 1]
    colour = mix(
        texels.colours[:, 0], texels.colours[:, 1], (0.5 + 0.6 * rise + 0.5 * noise[:, 0]).clamp(0, 1)
    )
    spread = texels.extent / texels.extent.amin(1, keepdim=True)
    for shape in range(12):
        random = cell_random(texels.seed * 0 + shape, texels.seed * 0, texels.seed)
        other = cell_random(texels.seed * 0 + shape, texels.seed * 0 + 1, texels.seed)
        centre = (random[:, :2] * 1.8 - 0.9) * spread
        away = (at + 0.12 * noise[:, 1:] - centre) / (0.12 + 0.45 * random[:, 2:] ** 2)
        round_, square = away.square().sum(1).sqrt(), away.abs().amax(1)
        reach = torch.where(other[:, 3] < 0.6, round_, square)
        cover = 0.9 * (1 - step(reach, 1.0, width * 4 + 0.02))
        pigment = other[:, :3] ** 2.0 * 0.8 + 0.02
        pigment = mix(pigment, pigment.mean(1, keepdim=True).expand_as(pigment), 0.5 * random[:, 3])
        colour = mix(colour, pigment, cover)
    colour = shade(colour, 0.3 * grain(texels, 0.02)[:, 0])
    mount = mix(colour, torch.full_like(colour, 0.75), _frame(texels, 0.055))
    return mix(mount, shade(texels.colours[:, 2], 0.25 * noise[:, 2]), _frame(texels, 0.025))


def poster(texels: Texels) -> Tensor:
    """A printed sheet: a headline, a picture, and lines of letter-like glyphs."""
    at = texels.place / texels.extent
    width = texels.width.mean(1)
    ink = _glyphs(texels, texels.place, 0.036) * (1 - step(at[:, 1], -0.1, width))
    head = _glyphs(texels, texels.place, 0.085) * step(at[:, 1], 0.62, width)
    ink = torch.maximum(ink, head) * (1 - step(at[:, 0].abs(), 0.86, width))
    picture = fractal(at * 3.0, width * 3.0 / texels.extent.amin(1), texels.seed, 4)
    image = mix(texels.colours[:, 1], texels.colours[:, 2], (0.5 + 0.9 * picture[:, 0]).clamp(0, 1))
    image = shade(image, 0.8 * picture[:, 1])
    window = (step(at[:, 1], -0.05, width * 3) - step(at[:, 1], 0.55, width * 3)) * (
        1 - step(at[:, 0].abs(), 0.84, width * 3)
    )
    sheet = shade(texels.colours[:, 0], 0.08 * grain(texels, 0.3)[:, 0])
    return mix(mix(sheet, image, window), torch.full_like(sheet, 0.03), 0.92 * ink)


def _glyphs(texels: Texels, place: Tensor, size: float) -> Tensor:
    """Return ink [N] of rows of random letters ``size`` metres high on a 3 x 5 raster."""
    row = (place[:, 1] / size).floor()
    letter = (place[:, 0] / (0.72 * size)).floor()
    inner_x = (place[:, 0] / (0.72 * size) - letter) * 4.0
    inner_y = (place[:, 1] / size - row) * 7.0
    random = cell_random(letter, row, texels.seed)
    bits = cell_random(letter * 4 + inner_x.floor(), row * 8 + inner_y.floor(), texels.seed + 5)
    solid = (bits[:, 0] < 0.62) & (inner_x < 3) & (inner_y < 5) & (random[:, 0] < 0.84)
    # Letters below the pixel's size become even grey.
    blurred = (texels.width.mean(1) * 5.0 / size - 0.7).clamp(0, 1)
    return solid.to(place.dtype) * (1 - blurred) + 0.28 * blurred


def rug(texels: Texels) -> Tensor:
    """A woven carpet: borders within borders around a field of lozenges and a medallion."""
    inside = (texels.extent - texels.place.abs()).amin(1)
    width = texels.width.mean(1)
    noise = grain(texels, 0.05, 3)
    at = texels.place / texels.period[:, None]
    lozenge = at.abs().sum(1)
    cell = cell_random((at[:, 0] + at[:, 1]).floor(), (at[:, 0] - at[:, 1]).floor(), texels.seed)
    rings = line(lozenge * 0.9, 0.18, width / texels.period)
    field = mix(texels.colours[:, 0], texels.colours[:, 1], rings)
    field = mix(field, texels.colours[:, 2], 0.7 * (cell[:, 0] < 0.4) * (1 - rings))
    beads = line(texels.place.sum(1) / 0.11, 0.22, width / 0.11) * line(
        (texels.place[:, 0] - texels.place[:, 1]) / 0.11, 0.3, width / 0.11
    )
    border = mix(texels.colours[:, 2], texels.colours[:, 0], beads)
    colour = mix(field, border, 1 - step(inside, 0.20, width))
    rim = line((inside - 0.205) / 0.09, 0.07, width / 0.09) * (1 - step(inside, 0.32, width))
    colour = mix(colour, texels.colours[:, 1], rim)
    return shade(colour, 0.4 * noise[:, 0] + 0.2 * grain(texels, 0.5, 2)[:, 1])


def books(texels: Texels) -> Tensor:
    """A row of book spines: uneven widths and heights, random cloth, gilt bands and a title."""
    at = texels.place[:, 0] / texels.period
    width = texels.width[:, 0] / texels.period
    group = at.floor()
    cut = 0.35 + 0.3 * cell_random(group, group * 0 + 9, texels.seed)[:, 0]
    second = (at - group) > cut
    cell = cell_random(group * 2 + second, group * 0, texels.seed)
    other = cell_random(group * 2 + second, group * 0 + 1, texels.seed)
    inner = at - group
    edge = torch.minimum(torch.minimum(inner, 1 - inner), (inner - cut).abs())
    rise = 0.5 + 0.5 * texels.place[:, 1] / texels.extent[:, 1]
    height = 0.70 + 0.28 * cell[:, 3]
    cloth = cell[:, :3] ** 1.8 * 0.55 + 0.03
    cloth = mix(cloth, texels.colours[:, 0], 0.35 * other[:, 0])
    fine_width = texels.width[:, 1] / (2 * texels.extent[:, 1])
    band = line((rise - 0.1) / 0.62, 0.02 + 0.03 * other[:, 1], fine_width / 0.62)
    title = step(rise, 0.35, fine_width) - step(rise, 0.35 + 0.25 * other[:, 2], fine_width)
    letters = _glyphs(texels, texels.place.flip(1), 0.018) * title
    gilt = texels.colours[:, 1] * (0.3 + 0.9 * other[:, 3:4])
    cloth = mix(cloth, gilt, torch.maximum(band, 0.8 * letters))
    cloth = shade(cloth, 0.25 * grain(texels, 0.04)[:, 0])
    shadow = 1 - step(edge, 0.035, width)
    dark = texels.colours[:, 2]
    return mix(mix(cloth, dark, 0.8 * shadow), dark, step(rise, height, fine_width))


def window(texels: Texels) -> Tensor:
    """A view outside: clouds over hills, behind glazing bars."""
    at = texels.place / texels.extent
    width = texels.width.mean(1)
    cloud = fractal(texels.place * 1.6, width * 1.6, texels.seed, 5)
    sky = mix(texels.colours[:, 0], texels.colours[:, 1], (0.45 + 0.9 * cloud[:, 0]).clamp(0, 1))
    hill = fractal(
        torch.stack([texels.place[:, 0] * 1.3, texels.place[:, 0] * 0], 1), width, texels.seed + 3, 5
    )[:, 0]
    land = shade(texels.colours[:, 2], 0.7 * cloud[:, 1] - 0.5)
    colour = mix(land, sky, step(at[:, 1], -0.35 + 0.35 * hill, width * 4))
    bars = torch.maximum(
        line(at[:, 0], 0.025, texels.width[:, 0] / texels.extent[:, 0]),
        line(at[:, 1], 0.02, texels.width[:, 1] / texels.extent[:, 1]),
    )
    return mix(colour, torch.full_like(colour, 0.32), torch.maximum(bars, _frame(texels, 0.05)))


def facade(texels: Texels) -> Tensor:
    """A house front: rows of windows, some lit, some curtained, on rendered or brick wall."""
    size = torch.stack([texels.period, texels.period * 1.15], 1)
    at, width = texels.place / size, texels.width / size
    cell = at.floor()
    random = cell_random(cell[:, 0], cell[:, 1], texels.seed)
    inner = (at - cell - 0.5).abs() - at.new_tensor([0.24, 0.3])
    pane = 1 - step(inner.amax(1), 0.0, width.mean(1))
    sill = (1 - step(inner.amax(1), 0.06, width.mean(1))) - pane
    noise = grain(texels, 0.7, 6)
    wall = shade(
        mix(texels.colours[:, 0], texels.colours[:, 1], 0.5 + 0.5 * noise[:, 0]), 0.3 * noise[:, 1]
    )
    glass = shade(random[:, :3] * 0.25 + 0.04, 0.8 * noise[:, 2])
    return mix(mix(wall, texels.colours[:, 2], sill), glass, pane)
