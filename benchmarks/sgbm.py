"""OpenCV's semi-global block matching on a rectified pair: what stereo without this package gives."""

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

WINDOW = 5


def sgbm_depth(
    one: Camera, two: Camera, images: tuple[NDArray[np.uint8], NDArray[np.uint8]], near: float, far: float
) -> NDArray[np.float32]:
    """Return the depth [H, W] of camera ``one``, NaN unknown.

    The pair is rectified, transposed where the cameras are one above the other and mirrored where the
    second is on the left; full-size SGBM (eight paths) with the usual penalties, uniqueness, left-right
    check and speckle filter; the disparity of each pixel of ``one`` is then looked up.
    """
    relative = two.camera_from_world @ one.world_from_camera
    size = (one.width, one.height)
    turn_one, turn_two, project_one, project_two, *_ = cv2.stereoRectify(
        one.intrinsics, np.zeros(5), two.intrinsics, np.zeros(5), size,
        relative[:3, :3].copy(), relative[:3, 3:].copy(), flags=cv2.CALIB_ZERO_DISPARITY, alpha=-1,
    )  # fmt: skip
    vertical = abs(project_two[1, 3]) > abs(project_two[0, 3])
    shift = project_two[1 if vertical else 0, 3]
    pair = []
    for camera, turn, project, image in zip(
        (one, two), (turn_one, turn_two), (project_one, project_two), images, strict=True
    ):
        maps = cv2.initUndistortRectifyMap(
            camera.intrinsics, None, turn, project[:, :3], size, cv2.CV_32FC1
        )
        rectified = cv2.remap(image, *maps, cv2.INTER_LINEAR)
        rectified = rectified.T if vertical else rectified
        pair.append(np.ascontiguousarray(rectified[:, ::-1] if shift > 0 else rectified))
    disparity = _match(pair[0], pair[1], abs(shift) / far, abs(shift) / near)
    disparity = disparity[:, ::-1] if shift > 0 else disparity
    disparity = disparity.T if vertical else disparity
    return _look_up(one, turn_one, project_one, disparity, abs(shift))


def _match(
    left: NDArray[np.uint8], right: NDArray[np.uint8], least: float, most: float
) -> NDArray[np.float32]:
    width = left.shape[1]
    low = min(int(least), width // 2)
    count = max(16, min(int(np.ceil((most - low) / 16)) * 16, (width - low - 8) // 16 * 16))
    matcher = cv2.StereoSGBM.create(
        low, count, WINDOW, 8 * WINDOW**2, 32 * WINDOW**2, 1, 31, 10, 100, 2, cv2.STEREO_SGBM_MODE_HH
    )
    disparity = matcher.compute(left, right).astype(np.float32) / 16
    return np.where(disparity > max(low, 1e-3), disparity, np.float32(np.nan))


def _look_up(
    camera: Camera,
    turn: NDArray[np.float64],
    project: NDArray[np.float64],
    disparity: NDArray[np.float32],
    shift: float,
) -> NDArray[np.float32]:
    rays = camera.rays() @ turn.T
    pixels = rays @ project[:, :3].T
    columns, rows = np.rint(pixels[..., :2] / pixels[..., 2:]).astype(int).transpose(2, 0, 1)
    inside = (rays[..., 2] > 0) & (columns >= 0) & (rows >= 0)
    inside &= (columns < camera.width) & (rows < camera.height)
    found = np.full(inside.shape, np.nan)
    found[inside] = disparity[rows[inside], columns[inside]]
    return (shift / found / rays[..., 2]).astype(np.float32)  # a ray has z = 1 in its camera
