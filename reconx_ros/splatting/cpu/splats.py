"""The record of a projected Gaussian: 16 floats, one cache line, read by every tile it touches.

In pixel units, with d = pixel - (X, Y) and k² = ½ log2 e, a Gaussian's alpha is 2^(PEAK - u² - v²),

    u = SHARP_X (d_x - SLOPE d_y),    v = SHARP_Y d_y,

the conditional and the marginal part of ½ dᵀ Σ'⁻¹ d: SLOPE = Σ'xy / Σ'yy, SHARP_X = k / sqrt(det / Σ'yy),
SHARP_Y = k / sqrt(Σ'yy). Unlike the inverse covariance this cancels nothing for needles, and it gives
the pixels of a row where alpha >= 1/255 directly: u² <= REACH - v².
"""

import numpy as np

from reconx_ros.splatting import model

SIZE = 16
X, Y, SLOPE, SHARP_X, SHARP_Y, PEAK, RED, GREEN, BLUE, DEPTH = range(10)
REACH, SPREAD_X, HALF_X, HALF_Y, TILT = range(10, 15)
"""REACH = PEAK + log2 255, SPREAD_X = 1 / SHARP_X; HALF_X and HALF_Y are the half sides of the box
around the pixels reached, TILT the y, from the mean, of its rightmost point."""

REACH_OFFSET = np.float32(-np.log2(model.ALPHA_MIN))
LOWEST = np.float32(np.log2(model.ALPHA_MIN))
SHARPNESS = np.float32(np.sqrt(0.5 * np.log2(np.e)))

SLOT = 10
"""Floats of the gradient of one Gaussian in one tile: red, green, blue, depth, then the sums over
pixels of q, q u, q u², q u v, q v, q v², where q ln 2 = dL/dPEAK of the pixel."""

TILE_WIDTH, TILE_HEIGHT = 32, 32
TILE_PIXELS = TILE_WIDTH * TILE_HEIGHT
