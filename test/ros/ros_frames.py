"""ROS messages of a camera in a small room, for tests: a textured wall with a box before it."""

import array

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from reconx_ros.ros.messages import header

WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
CAMERA = "camera_optical"


def picture(seed: int = 0) -> np.ndarray:
    """[HEIGHT, WIDTH, 3] uint8 with texture that is sharp and smooth in places."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST))


def depth_metres() -> np.ndarray:
    """[HEIGHT, WIDTH] float32: a wall at 2 m, a box at 1.5 m."""
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[40:80, 60:110] = 1.5
    return depth


def image(stamp_ns: int, encoding: str = "rgb8", seed: int = 0, frame: str = CAMERA) -> Image:
    pixels = picture(seed)
    message = Image(header=header(frame, stamp_ns), height=HEIGHT, width=WIDTH, encoding=encoding)
    message.step, message.data = WIDTH * 3, array.array("B", pixels.tobytes())
    return message


def compressed(stamp_ns: int) -> CompressedImage:
    data = cv2.imencode(".jpg", picture()[..., ::-1])[1].tobytes()
    return CompressedImage(header=header(CAMERA, stamp_ns), format="jpeg", data=array.array("B", data))


def depth(stamp_ns: int, scale: int = 1) -> Image:
    pixels = (depth_metres()[::scale, ::scale] * 1000).astype(np.uint16)
    message = Image(header=header(CAMERA, stamp_ns), encoding="16UC1")
    message.height, message.width = pixels.shape
    message.step, message.data = 2 * message.width, array.array("B", pixels.tobytes())
    return message


def camera_info(stamp_ns: int, focal: float = FOCAL) -> CameraInfo:
    k = [focal, 0.0, (WIDTH - 1) / 2, 0.0, focal, (HEIGHT - 1) / 2, 0.0, 0.0, 1.0]
    return CameraInfo(header=header(CAMERA, stamp_ns), width=WIDTH, height=HEIGHT, k=k)
