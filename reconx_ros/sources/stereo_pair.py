"""Depth of a rectified stereo pair: semi-global matching (Hirschmüller, PAMI 2008) as OpenCV has it."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SourceError

BLOCK = 5
"""Pixels across a matched block."""

NEAREST = 0.2
"""Largest disparity looked for, as a share of the image width: about 0.35 m for a common stereo camera."""


def baseline_of(info: Any) -> float:  # noqa: ANN401
    """Return the baseline in metres that the right camera's ``CameraInfo`` states (P[3] = -fx B).

    Raises:
        SourceError: it states none; the pair is not calibrated as one.
    """
    p = info.p if hasattr(info, "p") else info.P
    if not (p[0] > 0 and np.isfinite(p[3]) and p[3] < 0):
        raise SourceError(
            f"right camera_info has P[0] = {p[0]:g}, P[3] = {p[3]:g}; of the right camera of a calibrated "
            "pair P[3] is -fx times the baseline, below 0"
        )
    return float(-p[3] / p[0])


def stereo_depth(
    left: NDArray[np.uint8], right: NDArray[np.uint8], focal: float, baseline: float
) -> NDArray[np.float32]:
    """Return the [H, W] float32 depth of the left image in metres, NaN where unknown.

    Args:
        left: [H, W, 3] uint8 RGB, rectified.
        right: [H, W, 3] uint8 RGB, rectified to the same rows.
        focal: pixels.
        baseline: metres between the cameras.

    Raises:
        SourceError: the images differ in size.
    """
    if left.shape != right.shape:
        raise SourceError(
            f"left image is {left.shape[1]} x {left.shape[0]}, right one {right.shape[1]} x "
            f"{right.shape[0]}; a rectified pair has one size"
        )
    reach = max(16, round(NEAREST * left.shape[1] / 16) * 16)
    matcher = cv2.StereoSGBM.create(
        minDisparity=0,
        numDisparities=reach,
        blockSize=BLOCK,
        P1=8 * BLOCK * BLOCK,
        P2=32 * BLOCK * BLOCK,
        disp12MaxDiff=1,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (left, right)]
    disparity = matcher.compute(*grey).astype(np.float32) / 16
    with np.errstate(divide="ignore"):
        return np.where(disparity > 0, np.float32(focal * baseline) / disparity, np.float32(np.nan))
