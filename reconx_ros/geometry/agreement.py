"""What one view's measured depth says about points: seen too, seen through, hidden, not in view."""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconx_ros.camera import Camera

UNSEEN, AGREES, CONTRADICTS, HIDDEN = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class MeasuredView:
    """A depth image ready to be asked about points.

    Attributes:
        camera: the camera of the depth image.
        depth: [H, W] float32 metres, NaN unknown.
        nearest: [H, W] float32, the smallest depth of the 3 x 3 neighbourhood; 0 where part of it
            is unknown. A point is seen through only if it lies before this, so that half a pixel
            at the rim of a nearer object makes no contradiction.
        deviation: [H, W] float32, relative standard deviation of the depth.
    """

    camera: Camera
    depth: NDArray[np.float32]
    nearest: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @staticmethod
    def of(camera: Camera, depth: NDArray[np.float32], deviation: NDArray[np.float32]) -> "MeasuredView":
        """Prepare a depth image ([H, W] float32 metres, NaN unknown) of ``camera``."""
        known = np.where(np.isfinite(depth), depth, np.float32(0))
        nearest = cv2.erode(known, np.ones((3, 3), np.uint8))
        return MeasuredView(camera, depth, np.asarray(nearest, dtype=np.float32), deviation)


def judge(
    points: NDArray[np.float32],
    deviation: NDArray[np.float32],
    view: MeasuredView,
    least_tolerance: float,
    sigmas: float = 3.0,
) -> NDArray[np.uint8]:
    """Ask ``view`` about ``points``.

    With ``z`` the depth of a point in the view, ``d`` the depth measured there and the tolerance
    ``t = z max(least_tolerance, sigmas sqrt(s_point^2 + s_view^2))``:

    - ``AGREES`` where ``|z - d| <= t``;
    - ``CONTRADICTS`` where ``z < d_min - t`` with ``d_min`` the nearest depth of the 3 x 3
      neighbourhood: the view saw through the point (free-space violation);
    - ``HIDDEN`` where ``z > d + t``;
    - ``UNSEEN`` elsewhere: outside the image, behind the camera, nothing measured, or at a rim.

    Args:
        points: [N, 3] float32 in the world; NaN rows are ``UNSEEN``.
        deviation: [N] float32, relative standard deviation of each point along its own ray.
        view: what is asked.
        least_tolerance: relative depth difference that always agrees.
        sigmas: standard deviations of the difference that agree.

    Returns:
        [N] uint8.
    """
    camera_from_world = view.camera.camera_from_world
    projection = view.camera.intrinsics @ camera_from_world[:3]
    return np.asarray(
        _judge(
            points,
            deviation,
            projection,
            view.depth,
            view.nearest,
            view.deviation,
            least_tolerance,
            sigmas,
        )
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _judge(
    points: NDArray[np.float32],
    deviation: NDArray[np.float32],
    projection: NDArray[np.float64],
    depth: NDArray[np.float32],
    nearest: NDArray[np.float32],
    view_deviation: NDArray[np.float32],
    least_tolerance: float,
    sigmas: float,
) -> NDArray[np.uint8]:
    height, width = depth.shape
    verdict = np.zeros(len(points), np.uint8)
    p = projection
    for i in range(len(points)):
        x, y, w = points[i, 0], points[i, 1], points[i, 2]
        z = p[2, 0] * x + p[2, 1] * y + p[2, 2] * w + p[2, 3]
        if not z > 1e-6:  # behind, or NaN
            continue
        u = (p[0, 0] * x + p[0, 1] * y + p[0, 2] * w + p[0, 3]) / z
        v = (p[1, 0] * x + p[1, 1] * y + p[1, 2] * w + p[1, 3]) / z
        if not (-0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
            continue
        column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
        measured = depth[row, column]
        if not measured > 0:
            continue
        spread = np.sqrt(deviation[i] ** 2 + view_deviation[row, column] ** 2)
        tolerance = z * max(least_tolerance, sigmas * spread)
        if abs(z - measured) <= tolerance:
            verdict[i] = AGREES
        elif z < nearest[row, column] - tolerance:
            verdict[i] = CONTRADICTS
        elif z > measured + tolerance:
            verdict[i] = HIDDEN
    return verdict
