"""Backward pass of the colours, eight Gaussians at once."""

from numba import njit

from reconx_ros.splatting.cpu import sh as harmonics
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.memory import gather, load, store
from reconx_ros.splatting.cpu.project import ZERO, color, direction
from reconx_ros.splatting.cpu.simd import fma, select, spread


@njit(**INLINED)
def _by_direction(sh, stored, degree, i, scratch, by_red, by_green, by_blue):
    """Return Σ_k ∂Y_k (sh_k · gradient of the colour), by x, y and z."""
    by_x, by_y, by_z = spread(ZERO), spread(ZERO), spread(ZERO)
    for k in range(1, (degree + 1) * (degree + 1)):
        at, step = 3 * (i * stored + k), 3 * stored
        r, g, b = gather(sh, at, step), gather(sh, at + 1, step), gather(sh, at + 2, step)
        by_value = fma(r, by_red, fma(g, by_green, b * by_blue))
        by_x = fma(by_value, load(scratch, 8 * k), by_x)
        by_y = fma(by_value, load(scratch, 8 * (harmonics.ROWS + k)), by_y)
        by_z = fma(by_value, load(scratch, 8 * (2 * harmonics.ROWS + k)), by_z)
    return by_x, by_y, by_z


@njit(**INLINED)
def sh_backward(means, sh, degree, i, view, scratch, seen, by_red, by_green, by_blue, by_sh):
    """Write the gradient of the coefficients; return that of the means, through the direction.

    Number k of the coefficients goes to ``scratch`` at ``by_sh`` + 8 k.
    """
    stored = sh.size // means.size
    x, y, z, inverse = direction(means, i, view)
    x, y, z = select(seen, x, ZERO), select(seen, y, ZERO), select(seen, z, ZERO)
    harmonics.write_basis(scratch, degree, x, y, z)
    red, green, blue, _ = color(sh, stored, degree, i, scratch)
    by_red, by_green = select(red >= ZERO, by_red, ZERO), select(green >= ZERO, by_green, ZERO)
    by_blue = select(blue >= ZERO, by_blue, ZERO)
    rows = (degree + 1) * (degree + 1)
    for k in range(rows):
        value, at = load(scratch, 8 * k), by_sh + 24 * k
        store(scratch, at, value * by_red)
        store(scratch, at + 8, value * by_green)
        store(scratch, at + 16, value * by_blue)
    for k in range(3 * rows, 3 * stored):
        store(scratch, by_sh + 8 * k, spread(ZERO))
    if degree == 0:
        return spread(ZERO), spread(ZERO), spread(ZERO)
    harmonics.write_slopes(scratch, degree, x, y, z)
    by_x, by_y, by_z = _by_direction(sh, stored, degree, i, scratch, by_red, by_green, by_blue)
    along = x * by_x + y * by_y + z * by_z
    return (by_x - x * along) * inverse, (by_y - y * along) * inverse, (by_z - z * along) * inverse
