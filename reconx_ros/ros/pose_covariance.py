"""What odometry says of how sure the robot's pose is, said of the camera's pose in the map."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.rigid import rigid_inverse

Array = NDArray[np.float64]


def known_covariance(values: object) -> Array | None:
    """Return the 36 numbers of a message as [6, 6]; ``None`` where they say "unknown".

    That is: all variances 0 (not filled in), one below 0 (as drivers of IMUs write it), or not finite.
    """
    matrix = np.asarray(values, np.float64).reshape(6, 6)
    variances = np.diag(matrix)
    if not np.isfinite(matrix).all() or (variances < 0).any() or not variances.any():
        return None
    return matrix


def of_camera(
    of_base: Array, odom_from_camera: Array, base_from_camera: Array | None, world_from_odom: Array | None
) -> Array:
    """Return the covariance [6, 6] of the camera's pose in the world, to first order.

    With r from the robot's base to the camera, in the axes of odometry, and R = world_from_odom,

        δp = R (δp_base − [r]× δθ_base),        δθ = R δθ_base.

    Args:
        of_base: [6, 6] of the base in odometry (x, y, z, roll, pitch, yaw about fixed axes; m, rad).
        odom_from_camera: [4, 4].
        base_from_camera: [4, 4]; the camera is taken to be at the base where it is not known.
        world_from_odom: [4, 4]; odometry is the world where there is none.
    """
    turn = np.eye(3) if world_from_odom is None else world_from_odom[:3, :3]
    slope = np.kron(np.eye(2), turn)
    if base_from_camera is not None:
        base = odom_from_camera @ rigid_inverse(base_from_camera)
        x, y, z = odom_from_camera[:3, 3] - base[:3, 3]
        slope[:3, 3:] = -turn @ np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(slope @ of_base @ slope.T, np.float64)
