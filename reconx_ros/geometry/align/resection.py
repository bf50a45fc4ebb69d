"""Where a camera stands that sees known points: PnP with outliers."""

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.align.similarity import pose_of

Array = NDArray[np.float64]


def resect(
    points: Array, pixels: Array, intrinsics: Array, threshold: float, rounds: int, least: int
) -> Array | None:
    """Return world_from_camera [4, 4] of a camera that sees ``points`` at ``pixels``; always the same one.

    RANSAC with SQPnP, then least squares over the inliers.

    Args:
        points: [N, 3] in the world.
        pixels: [N, 2]; slopes (x / z, y / z) where ``intrinsics`` is the identity.
        intrinsics: [3, 3].
        threshold: distance of an inlier from its pixel, at most.
        rounds: of RANSAC.
        least: points and inliers below which the answer is ``None``.
    """
    if len(points) < least:
        return None
    cv2.setRNGSeed(0)
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points,
        pixels,
        intrinsics,
        None,
        iterationsCount=rounds,
        reprojectionError=threshold,
        flags=cv2.SOLVEPNP_SQPNP,
    )
    if not found or inliers is None or len(inliers) < least:
        return None
    chosen = inliers[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[chosen], pixels[chosen], intrinsics, None, turn, shift)
    rotation = cv2.Rodrigues(turn)[0].T
    return pose_of(rotation, -rotation @ shift[:, 0])
