"""Small rotations: exponential, logarithm, cross products."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def exponential(vectors: Array) -> Array:
    """Return rotations [N, 3, 3] of rotation vectors [N, 3]."""
    return np.asarray(Rotation.from_rotvec(vectors).as_matrix(), dtype=np.float64)


def logarithm(rotations: Array) -> Array:
    """Return rotation vectors [N, 3] of rotations [N, 3, 3]."""
    return np.asarray(Rotation.from_matrix(rotations).as_rotvec(), dtype=np.float64)


def moved(poses: Array, steps: Array) -> Array:
    """Return ``pose_n exp(step_n)``.

    Args:
        poses: [N, 4, 4].
        steps: [N, 6] translation, then rotation vector, in the camera frames.
    """
    result = poses.copy()
    result[:, :3, :3] = poses[:, :3, :3] @ exponential(steps[:, 3:])
    result[:, :3, 3] += (poses[:, :3, :3] @ steps[:, :3, None])[..., 0]
    return result


def inverses(poses: Array) -> Array:
    """Return the inverses of rigid transforms [N, 4, 4]."""
    result = np.zeros_like(poses)
    turned = poses[:, :3, :3].transpose(0, 2, 1)
    result[:, :3, :3] = turned
    result[:, :3, 3] = -(turned @ poses[:, :3, 3:])[..., 0]
    result[:, 3, 3] = 1.0
    return result
