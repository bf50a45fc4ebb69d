"""Rigid transforms: matrices, unit quaternions (xyzw), and interpolation between two poses."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def matrix_from_pose(translation: Array, quaternion_xyzw: Array) -> Array:
    """Return the [4, 4] matrix of a translation [3] and a unit quaternion [4] (xyzw)."""
    x, y, z, w = quaternion_xyzw
    matrix = np.eye(4)
    matrix[:3, :3] = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    matrix[:3, 3] = translation
    return matrix


def pose_from_matrix(matrix: Array) -> tuple[Array, Array]:
    """Return the translation [3] and the unit quaternion [4] (xyzw) of a rigid [4, 4] matrix.

    The quaternion is the dominant eigenvector of Bar-Itzhack's symmetric matrix (2000), which is
    stable for every angle and projects a slightly non-orthogonal rotation to the nearest one.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix[:3, :3]
    symmetric = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    return matrix[:3, 3].copy(), quaternion if quaternion[3] >= 0 else -quaternion


def unit_quaternion(quaternion_xyzw: Array) -> Array | None:
    """Return the normalised quaternion, or ``None`` where it is zero or not finite."""
    with np.errstate(over="ignore"):  # damaged messages hold any numbers
        norm = float(np.linalg.norm(quaternion_xyzw))
    return quaternion_xyzw / norm if np.isfinite(norm) and norm > 1e-6 else None


def slerp(first: Array, second: Array, share: float) -> Array:
    """Interpolate unit quaternions [4] on the shorter great arc (Shoemake 1985)."""
    cosine = float(first @ second)
    if cosine < 0:
        second, cosine = -second, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:  # the arc is straight here to double precision
        mixed = (1 - share) * first + share * second
    else:
        mixed = np.sin((1 - share) * angle) * first + np.sin(share * angle) * second
    return np.asarray(mixed / np.linalg.norm(mixed))


def rigid_inverse(matrix: Array) -> Array:
    """Return the inverse of a rigid [4, 4] matrix."""
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse
