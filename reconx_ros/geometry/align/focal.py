"""The focal length of a pointmap in its own camera's frame."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDS = 10


def estimate_focal(points: Array, pixels: Array, weight: Array, principal_point: Array) -> float:
    """Return the focal length in pixels that fits best (DUSt3R, section 3.3, Weiszfeld's algorithm).

    It minimises ``sum w ||pixel - principal_point - f (x, y) / z||`` over f.

    Args:
        points: [N, 3] in the camera frame, z > 0 where the weight is.
        pixels: [N, 2].
        weight: [N], not negative.
        principal_point: [2] in pixels.

    Returns:
        Pixels; NaN where no point has a weight.
    """
    used = (weight > 0) & (points[:, 2] > 0)
    if not used.any():
        return float("nan")
    slope = points[used, :2] / points[used, 2:]
    offset, share = pixels[used] - principal_point, weight[used]
    along, square = (slope * offset).sum(1), (slope**2).sum(1)
    focal = float(share @ along / max(share @ square, 1e-12))
    for _ in range(ROUNDS):
        residual = np.linalg.norm(offset - focal * slope, axis=1)
        factor = share / np.maximum(residual, 1e-8)
        focal = float(factor @ along / max(factor @ square, 1e-12))
    return focal
