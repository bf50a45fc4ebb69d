"""Drawing points as squares that face the camera, compiled."""

import numba
import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.65
"""Half width of a point's square over its spacing: neighbours overlap a little."""


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def draw_points(
    points: NDArray[np.float32],
    spacing: NDArray[np.float32],
    k: NDArray[np.float64],
    pose: NDArray[np.float64],
    nearest: float,
    index: NDArray[np.int32],
    depth: NDArray[np.float32],
) -> None:
    """Draw points [P, 3] with a depth buffer into index and depth [h, w].

    Args:
        points: in the world.
        spacing: [P] width of each point's square in the world.
        k: [3, 3] intrinsics.
        pose: [4, 4] camera_from_world.
        nearest: depth before which nothing is drawn.
        index: −1 everywhere; becomes the point that each pixel shows.
        depth: infinite everywhere; becomes its depth.
    """
    height, width = index.shape
    for p in range(points.shape[0]):
        x, y, z = points[p, 0], points[p, 1], points[p, 2]
        far = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
        if not far > nearest:
            continue
        right = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]) / far
        down = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]) / far
        u = k[0, 0] * right + k[0, 1] * down + k[0, 2]
        v = k[1, 1] * down + k[1, 2]
        # At least the pixel that it falls into.
        half = max(OVERLAP * spacing[p] * k[0, 0] / far, 0.5)
        if not (-half < u < width - 1 + half and -half < v < height - 1 + half):
            continue
        left, end = max(0, int(np.ceil(u - half))), min(width - 1, int(np.floor(u + half)))
        for row in range(max(0, int(np.ceil(v - half))), min(height - 1, int(np.floor(v + half))) + 1):
            for column in range(left, end + 1):
                if far < depth[row, column]:
                    depth[row, column] = far
                    index[row, column] = p


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def show_points(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    values: NDArray[np.float32],
    centre: NDArray[np.float64],
    index: NDArray[np.int32],
    shown: NDArray[np.float32],
    back: NDArray[np.bool_],
) -> None:
    """Look up what the points of each pixel are worth, and whether they face away.

    Args:
        points: [P, 3] in the world.
        normals: [P, 3].
        values: [P].
        centre: [3] of the camera.
        index: [h, w] the point that each pixel shows (``draw_points``).
        shown: [h, w], 0 everywhere; becomes the point's value.
        back: [h, w], false everywhere; becomes true where the point's normal looks away.
    """
    height, width = index.shape
    for row in range(height):
        for column in range(width):
            p = index[row, column]
            if p >= 0:
                shown[row, column] = values[p]
                facing = 0.0
                for axis in range(3):
                    facing += (centre[axis] - points[p, axis]) * normals[p, axis]
                back[row, column] = facing < 0


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def look_up(
    points: NDArray[np.float32],
    k: NDArray[np.float64],
    pose: NDArray[np.float64],
    image: NDArray[np.float32],
    depth: NDArray[np.float32],
    shown: NDArray[np.float32],
) -> None:
    """Find the depth [M] of points [M, 3] in a view and what its ``image`` [h, w] shows there.

    Args:
        points: in the world.
        k: [3, 3] intrinsics.
        pose: [4, 4] camera_from_world.
        image: of the view.
        depth: infinite everywhere; written where a point is in the image and before the camera.
        shown: 0 everywhere; written at the same places.
    """
    height, width = image.shape
    for p in range(points.shape[0]):
        x, y, z = points[p, 0], points[p, 1], points[p, 2]
        far = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
        if far > 0:
            right = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]) / far
            down = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]) / far
            u, v = k[0, 0] * right + k[0, 1] * down + k[0, 2], k[1, 1] * down + k[1, 2]
            if -0.5 < u < width - 0.5 and -0.5 < v < height - 0.5:
                depth[p] = far
                shown[p] = image[int(np.floor(v + 0.5)), int(np.floor(u + 0.5))]
