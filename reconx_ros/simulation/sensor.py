"""What a real RGB-D camera does to a perfect picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SensorNoise:
    """Errors of a structured-light or active-stereo camera; all zero is a perfect one.

    Attributes:
        color_sigma: standard deviation of the colour noise, of 1.
        exposure_sigma: standard deviation of the logarithm of the exposure, from frame to frame.
        depth_sigma: depth noise is ``depth_sigma * z^2`` metres at z metres.
        grazing: surfaces seen at less than this cosine give no depth.
        edge_pixels: depth is lost this near to a jump of depth.
        max_depth: metres beyond which nothing is measured.
    """

    color_sigma: float = 0.0
    exposure_sigma: float = 0.0
    depth_sigma: float = 0.0
    grazing: float = 0.0
    edge_pixels: int = 0
    max_depth: float = float("inf")


HANDHELD = SensorNoise(0.012, 0.03, 0.0015, 0.12, 1, 8.0)


def expose(color: Floats, noise: SensorNoise, frame: int, seed: int) -> NDArray[np.uint8]:
    """Return the 8-bit picture of ``color`` [H, W, 3] in [0, 1] that frame number ``frame`` gets."""
    random = np.random.default_rng([seed, frame, 1])
    # Exposure drifts slowly, so it is a smooth function of the frame number.
    drift = noise.exposure_sigma * np.sqrt(2) * np.sin(0.37 * frame + 1.7 * np.sin(0.11 * frame + seed))
    value = color * np.float32(np.exp(drift))
    if noise.color_sigma > 0:
        value = value + noise.color_sigma * random.standard_normal(color.shape, dtype=np.float32)
    picture: NDArray[np.uint8] = np.rint(np.clip(value, 0, 1) * 255).astype(np.uint8)
    return picture


def measure(depth: Floats, cosine: Floats, noise: SensorNoise, frame: int, seed: int) -> Floats:
    """Return the depth that is measured.

    Args:
        depth: [H, W] metres, NaN where there is nothing.
        cosine: [H, W] cosine between the surface normal and the ray.
        noise: the camera's errors.
        frame: number of the frame.
        seed: of the noise.

    Returns:
        [H, W] float32 metres, NaN where nothing is measured; whole millimetres.
    """
    random = np.random.default_rng([seed, frame, 2])
    value = depth.copy()
    if noise.depth_sigma > 0:
        value += noise.depth_sigma * value**2 * random.standard_normal(depth.shape, dtype=np.float32)
    value[(cosine < noise.grazing) | ~(depth <= noise.max_depth)] = np.nan
    if noise.edge_pixels:
        value[_near_jump(depth, noise.edge_pixels)] = np.nan
    return (np.rint(value * 1000) / 1000).astype(np.float32)


def _near_jump(depth: Floats, reach: int) -> NDArray[np.bool_]:
    """Return the pixels within ``reach`` of a depth jump of more than 5 %."""
    filled = np.nan_to_num(depth, nan=1e3).astype(np.float32)
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    far, near = cv2.dilate(filled, kernel), cv2.erode(filled, kernel)
    jump: NDArray[np.bool_] = far > 1.05 * near
    return jump
