"""``sampling.py``, compiled for the CPU."""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from reconx_ros.structure.reference_surface import EDGE
from reconx_ros.structure.sampling import CLOSED, LEAST_WEIGHT
from reconx_ros.structure.splats_kernel import coordinates, magnification

Floats = NDArray[np.float32]


def sample_compiled(
    color: Floats,
    inverse: Floats,
    slope: Floats,
    confidence: Floats,
    measured: NDArray[np.bool_],
    which: NDArray[np.int64],
    table: Floats,
    index: NDArray[np.int64],
    closed: NDArray[np.bool_],
    size: tuple[int, int],
) -> Floats:
    """Return the layers of a warp.

    Args:
        color: [M, 3, h, w] of the references.
        inverse: [M, 1, h, w] inverse depth.
        slope: [M, 2, h, w] of the inverse depth.
        confidence: [M, 1, h, w].
        measured: [M, 1, h, w], false where the depth is unknown or guessed.
        which: [N] the reference of each image.
        table: [N, 12, h·w] (``Splats``).
        index: [N, H·W] the splat of each pixel, −1 where none.
        closed: [N, H·W], whether a gap was closed there.
        size: H, W.

    Returns:
        [N, 6, H, W] as ``sampling.sample``.
    """
    layers = np.zeros((len(index), 6, *size), np.float32)
    for number, m in enumerate(which):
        reference = (color[m], inverse[m, 0], slope[m], confidence[m, 0], measured[m, 0])
        _sample(*reference, table[number], index[number], closed[number], layers[number])
    return layers


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sample(
    color: Floats,
    inverse: Floats,
    slope: Floats,
    confidence: Floats,
    measured: NDArray[np.bool_],
    table: Floats,
    index: NDArray[np.int64],
    closed: NDArray[np.bool_],
    layers: Floats,
) -> None:
    width = inverse.shape[1]
    target_width = layers.shape[2]
    for place in range(len(index)):
        s = index[place]
        if s < 0:
            continue
        x, y = place % target_width, place // target_width
        column, row = s % width, s // width
        u, v, inverse_depth = coordinates(table, s, np.float32(x), np.float32(y))
        _taps(color, inverse, slope, measured, column, row, u, v, layers[:3, y, x])
        sharp = confidence[row, column] / math.sqrt(max(magnification(table, s), 1.0))
        layers[3, y, x] = 1
        layers[4, y, x] = 1 / inverse_depth
        layers[5, y, x] = sharp * CLOSED if closed[place] else sharp


@numba.njit(inline="always", error_model="numpy")  # type: ignore[untyped-decorator]
def _taps(
    color: Floats,
    inverse: Floats,
    slope: Floats,
    measured: NDArray[np.bool_],
    column: int,
    row: int,
    u: float,
    v: float,
    out: Floats,
) -> None:
    height, width = inverse.shape
    left, top = math.floor(u), math.floor(v)
    total = np.float32(LEAST_WEIGHT)
    for c in range(3):
        out[c] = total * color[c, row, column]
    for y in range(top, top + 2):
        for x in range(left, left + 2):
            at_x, at_y = min(max(column + x, 0), width - 1), min(max(row + y, 0), height - 1)
            there = inverse[at_y, at_x]
            here = inverse[row, column] + slope[0, row, column] * x + slope[1, row, column] * y
            near = max(here, there)
            if measured[at_y, at_x] and (abs(here - there) > EDGE * near or not min(here, there) > 0):
                continue
            weight = (1 - abs(u - x)) * (1 - abs(v - y))
            total += weight
            for c in range(3):
                out[c] += weight * color[c, at_y, at_x]
    for c in range(3):
        out[c] /= total
