"""Surface normals of a depth image."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconx_ros.camera import Camera

RADIUS = 4
"""Half the window of the local plane fit, in pixels: wide enough that the noise of a structured
light camera at 3 m (1.3 cm) turns a normal by less than 10 degrees."""

STEP = 2
"""Every other pixel of the window is used: as exact as a full window of 7, at half the cost."""

MIN_NEIGHBOURS = 6
"""Known pixels on the same surface, of 25, under which the normal is unknown."""


def normals_from_depth(
    depth: NDArray[np.float32], camera: Camera, edge_ratio: float
) -> NDArray[np.float32]:
    """Return unit normals in the world, toward the camera, NaN where unknown.

    The image of a plane has an inverse depth that is linear in the pixel: from
    ``n . (z K^-1 (x, y, 1)) = -d`` follows ``1/z = a x + b y + c`` with ``n ~ -K^T (a, b, c)``.
    The plane is fitted to each pixel's window by least squares over the neighbours that lie on the
    same surface; it is exact on planes.

    Args:
        depth: [H, W] float32 metres, NaN unknown.
        camera: the camera of ``depth``.
        edge_ratio: neighbours whose inverse depth differs by more than this share are left out.

    Returns:
        [H, W, 3] float32.
    """
    inverse = np.float32(1) / depth
    plane = _fit_planes(inverse.astype(np.float32), np.float32(edge_ratio), RADIUS, STEP, MIN_NEIGHBOURS)
    columns = np.arange(camera.width, dtype=np.float32)
    rows = np.arange(camera.height, dtype=np.float32)
    # The fit is about each pixel; c is the inverse depth at the principal origin (0, 0).
    constant = plane[..., 2] - plane[..., 0] * columns - plane[..., 1] * rows[:, None]
    world = -camera.world_from_camera[:3, :3] @ camera.intrinsics.T
    stacked = np.stack([plane[..., 0], plane[..., 1], constant], axis=-1)
    normals = stacked @ world.T.astype(np.float32)
    return np.asarray(normals / np.linalg.norm(normals, axis=-1, keepdims=True), dtype=np.float32)


@njit(cache=True, fastmath={"contract", "reassoc"})  # type: ignore[untyped-decorator]
def _fit_planes(
    inverse: NDArray[np.float32], edge_ratio: np.float32, radius: int, step: int, least: int
) -> NDArray[np.float32]:
    """Fit ``inverse = a dx + b dy + c`` about every pixel; [H, W, 3] float32 (a, b, c)."""
    height, width = inverse.shape
    plane = np.full((height, width, 3), np.nan, np.float32)
    for row in range(height):
        for column in range(width):
            middle = inverse[row, column]
            if not middle > 0:
                continue
            limit = edge_ratio * middle
            n = sx = sy = sxx = sxy = syy = np.float32(0)
            sq = sqx = sqy = np.float32(0)
            for y in range(row - radius, row + radius + 1, step):
                if not 0 <= y < height:
                    continue
                dy = np.float32(y - row)
                for x in range(column - radius, column + radius + 1, step):
                    if not 0 <= x < width:
                        continue
                    q = inverse[y, x] - middle
                    if abs(q) <= limit:  # false for NaN
                        dx = np.float32(x - column)
                        n += np.float32(1)
                        sx += dx
                        sy += dy
                        sxx += dx * dx
                        sxy += dx * dy
                        syy += dy * dy
                        sq += q
                        sqx += q * dx
                        sqy += q * dy
            # Normal equations about the mean, solved by hand (2 x 2).
            if n < least:
                continue
            cxx, cxy, cyy = sxx - sx * sx / n, sxy - sx * sy / n, syy - sy * sy / n
            cqx, cqy = sqx - sq * sx / n, sqy - sq * sy / n
            determinant = cxx * cyy - cxy * cxy
            if determinant < np.float32(1):  # the neighbours lie in a line
                continue
            a = (cqx * cyy - cqy * cxy) / determinant
            b = (cqy * cxx - cqx * cxy) / determinant
            plane[row, column, 0] = a
            plane[row, column, 1] = b
            plane[row, column, 2] = middle + (sq - a * sx - b * sy) / n
    return plane
