"""What is wrong with real keyframes: depth errors, misregistration, exposure drift, blur, noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.simulation.sensor import SensorNoise, measure

Floats = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraErrors:
    """The errors of one recording.

    Attributes:
        noise: of colour and depth.
        edge: pixels beside a jump of depth that have none.
        depth_shift: [2] pixels (x, y) by which depth lies beside colour.
        border: columns at each side without depth, as registration leaves them.
        patches: share of the image without depth in random patches (dark or shiny things).
        rotation_sigma: radians, standard deviation of the pose error.
        translation_sigma: metres, likewise.
        blur_sigma: pixels, of lens and motion; the truth is blurred alike.
        drift: [T, 3] logarithm of the exposure of each frame and channel.
        lift: [T, 3] offset of each frame and channel.
    """

    noise: SensorNoise
    edge: int
    depth_shift: Array
    border: int
    patches: float
    rotation_sigma: float
    translation_sigma: float
    blur_sigma: float
    drift: Array
    lift: Array


NO_ERRORS = CameraErrors(
    SensorNoise(), 0, np.zeros(2), 0, 0.0, 0.0, 0.0, 0.0, np.zeros((2, 3)), np.zeros((2, 3))
)


def draw_errors(random: np.random.Generator, frames: int) -> CameraErrors:
    """Draw the errors of a recording of ``frames`` frames; most are small, some are large."""
    size = float(np.exp(random.normal(0.0, 0.6)))
    noise = SensorNoise(
        color_sigma=random.uniform(0.002, 0.015),
        depth_sigma=0.0015 * size,
        grazing=random.uniform(0.02, 0.12),
        max_depth=random.uniform(5.0, 20.0),
    )
    common, tint = random.normal(0, 0.06, (frames, 1)), random.normal(0, 0.02, (frames, 3))
    return CameraErrors(
        noise,
        int(random.choice(3, p=(0.3, 0.55, 0.15))),
        random.normal(0, 0.3 * size, 2),
        int(random.choice(3, p=(0.5, 0.3, 0.2))),
        random.uniform(0, 0.08) * (random.random() < 0.4),
        np.deg2rad(0.1) * size,
        0.003 * size,
        random.uniform(0.0, 0.7),
        float(random.choice((0.0, 1.0, 1.0, 2.0))) * (common + tint),
        random.normal(0, 0.006, (frames, 3)),
    )


def spoil_color(color: Floats, errors: CameraErrors, frame: int, random: np.random.Generator) -> Floats:
    """Return what the sensor makes of ``color`` [H, W, 3] in [0, 1]."""
    value = expose_truth(color, errors, errors.drift[frame], errors.lift[frame])
    value = value + np.float32(errors.noise.color_sigma) * random.standard_normal(color.shape, np.float32)
    return np.clip(value, 0, 1).astype(np.float32)


def expose_truth(color: Floats, errors: CameraErrors, drift: Array, lift: Array) -> Floats:
    """Return ``color`` [H, W, 3] seen through the lens at one exposure, without noise."""
    value = color
    if errors.blur_sigma > 0.2:
        value = cv2.GaussianBlur(color, (0, 0), errors.blur_sigma, borderType=cv2.BORDER_REPLICATE)
    return np.clip(value * np.exp(drift) + lift, 0, 1).astype(np.float32)


def spoil_depth(depth: Floats, cosine: Floats, errors: CameraErrors, random: np.random.Generator) -> Floats:
    """Return the measured depth [H, W], NaN where unknown; ``cosine`` as for ``sensor.measure``."""
    seed = int(random.integers(2**31))
    value = measure(depth, cosine, errors.noise, 0, seed)
    if errors.edge:
        value[_near_edge(depth, errors.edge)] = np.nan
    if np.any(np.abs(errors.depth_shift) > 0):
        shift = np.column_stack([np.eye(2), errors.depth_shift]).astype(np.float32)
        size = depth.shape[::-1]
        value = cv2.warpAffine(value, shift, size, flags=cv2.INTER_NEAREST, borderValue=np.nan)
    if errors.border:
        value[:, : errors.border] = value[:, -errors.border :] = np.nan
    if errors.patches > 0:
        coarse = random.standard_normal((7, 9), np.float32)
        field = cv2.resize(coarse, depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
        value[field < np.quantile(field, errors.patches)] = np.nan
    return np.asarray(value, np.float32)


def _near_edge(depth: Floats, reach: int) -> NDArray[np.bool_]:
    """Return the pixels within ``reach`` of where inverse depth bends by more than 5 %.

    Inverse depth is linear on a plane, so that a floor seen at a low angle has no edges.
    """
    inverse = np.nan_to_num(1 / depth, nan=0.0).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    bend = cv2.dilate(inverse, kernel) + cv2.erode(inverse, kernel) - 2 * inverse
    edge = (np.abs(bend) > 0.05 * inverse).astype(np.uint8)
    near: NDArray[np.bool_] = cv2.dilate(edge, np.ones((2 * reach - 1, 2 * reach - 1), np.uint8)) > 0
    return near


def spoil_pose(world_from_camera: Array, errors: CameraErrors, random: np.random.Generator) -> Array:
    """Return the pose [4, 4] as an imperfect odometry gives it."""
    turn, _ = cv2.Rodrigues(random.normal(0, 1, 3) * errors.rotation_sigma)
    result = world_from_camera.copy()
    result[:3, :3] = world_from_camera[:3, :3] @ turn
    result[:3, 3] += random.normal(0, 1, 3) * errors.translation_sigma
    return result
