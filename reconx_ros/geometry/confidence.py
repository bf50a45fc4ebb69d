"""What a measured depth is worth: the confidence of one view, and what other views say about it.

The confidence of a pixel is

    C = 1 + P * E * (RHO / s)^2,      s^2 = (noise z)^2 + (LATERAL tan(theta) / f)^2 + FLOOR^2

- ``s`` is the standard deviation of the depth relative to the depth: the sensor's (``noise z^2 / z``:
  that of a triangulating sensor grows with the square of the distance), what half a pixel of lateral
  uncertainty does on a surface seen under the angle ``theta`` off its normal (``f`` in pixels), and
  a floor for calibration and pose. C - 1 is thus an inverse variance in units of ``RHO``: C = 2 is
  a point known to 1 percent of its distance. Relative, because a point's error in the image of
  another view is proportional to it, and because a world need not be in metres.
- ``E = 1 - exp(-(d / EDGE_WIDTH)^2 / 2)`` with ``d`` pixels to the nearest depth edge or hole: there
  sensors mix foreground and background.
- ``P = 1 / (1 + exp(-(PRIOR + AGREES a - CONTRADICTS c)))`` is the probability that the point is
  there at all, given that ``a`` views measured it too and ``c`` views saw through it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.config import RgbdConfig

Floats = NDArray[np.float32]

RHO = 0.01
LATERAL = 0.5
FLOOR = 0.004
EDGE_WIDTH = 2.0
PRIOR = 1.5
AGREES = 1.0
CONTRADICTS = 2.5

_PAIRS = (
    ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
)
"""Index of every pixel with a neighbour below (then right), and of that neighbour."""


def relative_deviation(depth: Floats, normals: Floats, camera: Camera, config: RgbdConfig) -> Floats:
    """Return ``s``, the standard deviation of ``depth`` relative to it.

    Args:
        depth: [H, W] float32 metres, NaN unknown.
        normals: [H, W, 3] float32 in the world; where unknown the surface is taken to be seen at
            60 degrees.
        camera: the camera of ``depth``.
        config: the noise of the sensor.

    Returns:
        [H, W] float32, NaN where the depth is.
    """
    rays = camera.rays().astype(np.float32)
    rotation = camera.world_from_camera[:3, :3].astype(np.float32)
    cosine = -np.einsum("hwi,hwi->hw", normals @ rotation, rays)
    cosine /= np.sqrt(np.einsum("hwi,hwi->hw", rays, rays))
    cosine = np.clip(np.where(np.isfinite(cosine), cosine, np.float32(0.5)), 0.02, 1)
    tangent = np.sqrt(1 - cosine * cosine) / cosine
    sensor = np.float32(config.noise_at_one_metre) * depth
    lateral = np.float32(LATERAL / camera.intrinsics[0, 0]) * tangent
    return np.asarray(np.sqrt(sensor * sensor + lateral * lateral + FLOOR * FLOOR), dtype=np.float32)


def edge_weight(depth: Floats, edge_ratio: float) -> Floats:
    """Return ``E`` in [0, 1]: 0 on both pixels of a depth step and in holes, near 1 far from any.

    Args:
        depth: [H, W] float32 metres, NaN unknown.
        edge_ratio: step between neighbouring pixels, relative to the nearer one, that is an edge.
    """
    surface = np.isfinite(depth)
    filled = np.where(surface, depth, np.float32(0))
    for one, next_one in _PAIRS:
        nearer = np.minimum(filled[one], filled[next_one])
        step = np.abs(filled[one] - filled[next_one])
        smooth = (step <= edge_ratio * nearer) | (nearer == 0)
        surface[one] &= smooth
        surface[next_one] &= smooth
    distance = cv2.distanceTransform(surface.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(1 - np.exp(-0.5 * np.square(distance / EDGE_WIDTH)), dtype=np.float32)


def presence(agrees: NDArray[np.integer], contradicts: NDArray[np.integer]) -> Floats:
    """Return ``P`` in (0, 1) from the numbers of views that agree and that contradict."""
    odds = PRIOR + AGREES * agrees.astype(np.float32) - CONTRADICTS * contradicts.astype(np.float32)
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)


def confidence(deviation: Floats, edges: Floats, present: Floats) -> Floats:
    """Return C >= 1, [H, W] float32: exactly 1 where ``deviation`` is NaN."""
    gain = present * edges * np.square(np.float32(RHO) / deviation)
    return np.asarray(1 + np.where(np.isfinite(gain), gain, np.float32(0)), dtype=np.float32)
