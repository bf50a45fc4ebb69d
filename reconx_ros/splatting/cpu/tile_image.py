"""Between an image and the cells of a tile, in which compositing keeps all numbers of a pixel together.

Forward, these are the ``PLANES`` of a pixel: its transmittance (negative once it is finished), red,
green, blue and depth. Backward, its ``WORK``: transmittance, R (see ``backward``), and the gradients of
red, green, blue and depth.
"""

from numba import njit

from reconx_ros.splatting.cpu.cell_memory import load_cell, load_color_cell, store_cell, store_color_cell
from reconx_ros.splatting.cpu.cells import CELLS, LANES, SIDE, ZERO, fill
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.functions import ONE
from reconx_ros.splatting.cpu.memory import item, load16, store
from reconx_ros.splatting.cpu.simd import absolute, fma, spread16

PLANES, WORK = 5, 6
PLANES_CELL, WORK_CELL = PLANES * LANES, WORK * LANES
"""Floats of a cell."""


@njit(**INLINED)
def clear(planes):
    """Make all pixels of a tile transparent and black."""
    for at in range(0, CELLS * PLANES_CELL, PLANES_CELL):
        fill(planes, at, ONE)
        for plane in range(1, PLANES):
            fill(planes, at + plane * LANES, ZERO)


@njit(**INLINED)
def _place(cell, left, top, width, height):
    """Return the first pixel of a cell, and how many of its columns and rows are in the image."""
    x, y = left + SIDE * (cell >> 3), top + SIDE * (cell & 7)
    return y * width + x, min(SIDE, width - x), min(SIDE, height - y)


@njit(**INLINED)
def _finish_cell(planes, at, pixel, width, background, image):
    """Copy a cell to the image, over the background; ``pixel`` is its first."""
    color, depth, alpha = image
    rest = absolute(load16(planes, at))
    red = fma(rest, background[0], load16(planes, at + LANES))
    green = fma(rest, background[1], load16(planes, at + 2 * LANES))
    blue = fma(rest, background[2], load16(planes, at + 3 * LANES))
    store_color_cell(color, 3 * pixel, 3 * width, red, green, blue)
    store_cell(depth, pixel, width, load16(planes, at + 4 * LANES))
    store_cell(alpha, pixel, width, ONE - rest)


@njit(**INLINED)
def _finish_part(planes, at, pixel, across, down, width, background, image):
    """Copy the pixels of a cell that are in the image: ``across`` x ``down``."""
    color, depth, alpha = image
    for y in range(down):
        for x in range(across):
            of, to = at + SIDE * y + x, pixel + width * y + x
            rest = abs(item(planes, of))
            for channel in range(3):
                color[3 * to + channel] = (
                    item(planes, of + (1 + channel) * LANES) + rest * background[channel]
                )
            depth[to] = item(planes, of + 4 * LANES)
            alpha[to] = ONE - rest


@njit(**INLINED)
def finish(planes, left, top, width, height, background, image):
    """Copy a tile to the image."""
    for cell in range(CELLS):
        pixel, across, down = _place(cell, left, top, width, height)
        if across == SIDE and down == SIDE:
            _finish_cell(planes, PLANES_CELL * cell, pixel, width, background, image)
        else:
            _finish_part(planes, PLANES_CELL * cell, pixel, across, down, width, background, image)


@njit(**INLINED)
def _prepare_cell(image, by_image, pixel, width, work, at):
    """Fill the work of a cell; ``pixel`` is its first."""
    color, depth, alpha = image
    by_color, by_depth, by_alpha = by_image
    red, green, blue = load_color_cell(color, 3 * pixel, 3 * width)
    g_red, g_green, g_blue = load_color_cell(by_color, 3 * pixel, 3 * width)
    g_depth, g_alpha = load_cell(by_depth, pixel, width), load_cell(by_alpha, pixel, width)
    behind = fma(
        g_depth, load_cell(depth, pixel, width), -(g_alpha * (ONE - load_cell(alpha, pixel, width)))
    )
    store(work, at, spread16(ONE))
    store(work, at + LANES, fma(g_red, red, fma(g_green, green, fma(g_blue, blue, behind))))
    store(work, at + 2 * LANES, g_red)
    store(work, at + 3 * LANES, g_green)
    store(work, at + 4 * LANES, g_blue)
    store(work, at + 5 * LANES, g_depth)


@njit(**INLINED)
def _prepare_part(image, by_image, pixel, across, down, width, work, at):
    """Fill the work of a cell of which only ``across`` x ``down`` pixels are in the image."""
    color, depth, alpha = image
    by_color, by_depth, by_alpha = by_image
    work[at : at + WORK_CELL] = ZERO
    for y in range(down):
        for x in range(across):
            of, to = pixel + width * y + x, at + SIDE * y + x
            behind = by_depth[of] * depth[of] - by_alpha[of] * (ONE - alpha[of])
            for channel in range(3):
                gradient = by_color[3 * of + channel]
                behind += gradient * color[3 * of + channel]
                work[to + (2 + channel) * LANES] = gradient
            work[to], work[to + LANES], work[to + 5 * LANES] = ONE, behind, by_depth[of]


@njit(**INLINED)
def prepare(image, by_image, left, top, width, height, work):
    """Fill the work of a tile; pixels outside the image get no gradient."""
    for cell in range(CELLS):
        pixel, across, down = _place(cell, left, top, width, height)
        if across == SIDE and down == SIDE:
            _prepare_cell(image, by_image, pixel, width, work, WORK_CELL * cell)
        else:
            _prepare_part(image, by_image, pixel, across, down, width, work, WORK_CELL * cell)
