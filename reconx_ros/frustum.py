"""Which boxes of the world a camera may have in its image."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]


def boxes_in_view(
    camera: Camera,
    low: Array,
    high: Array,
    margin: float,
    reach: tuple[Array | float, Array | float] = (0.0, 0.0),
    depth: tuple[float, float] = (0.0, np.inf),
) -> NDArray[np.bool_]:
    """Return which boxes [B] may hold a point that is in the image; all others surely hold none.

    Args:
        camera: the view.
        low: [B, 3] smallest corners in the world.
        high: [B, 3] largest corners.
        margin: pixels beyond the image that still count.
        reach: metres, or [B] of them, that a point may lie outside of the planes through the left and right
            borders of the image, and of those through the upper and lower ones.
        depth: metres along the optical axis between which points count.
    """
    pose, intrinsics = camera.camera_from_world, camera.intrinsics
    seen = (-_least(low, high, -pose[2]) > depth[0]) & (_least(low, high, pose[2]) < depth[1])
    skew = abs(intrinsics[0, 1]) * (camera.height + margin) / intrinsics[1, 1]
    for axis, size in ((0, camera.width), (1, camera.height)):
        for side, border in ((1.0, size + margin + skew), (-1.0, -margin - skew)):
            tangent = (border - intrinsics[axis, 2]) / intrinsics[axis, axis]
            outward = side * (pose[axis] - tangent * pose[2])
            seen &= _least(low, high, outward) <= reach[axis]
    return np.asarray(seen, np.bool_)


def _least(low: Array, high: Array, plane: Array) -> Array:
    """Return the least of the linear function ``plane`` [4] over each box, [B]."""
    least = np.minimum(low * plane[:3], high * plane[:3]).sum(axis=1)
    return np.asarray(least + plane[3], np.float64)
