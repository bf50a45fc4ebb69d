"""Pictures as PNG, or as JPEG where a page holds many."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import MapError

Picture = NDArray[np.uint8] | NDArray[np.float32]


def to_uint8(image: Picture) -> NDArray[np.uint8]:
    """Return [H, W, 3] as uint8; float images are in [0, 1], clipped and rounded, NaN black."""
    if image.dtype == np.uint8:
        return np.asarray(image, dtype=np.uint8)
    return np.asarray(np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255), dtype=np.uint8)


def encode_png(image: Picture) -> bytes:
    """Return an RGB image [H, W, 3] as the bytes of a PNG file."""
    _, data = cv2.imencode(".png", cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2BGR))
    return bytes(data)


def encode_jpeg(image: Picture) -> bytes:
    """Return an RGB image [H, W, 3] as the bytes of a JPEG file."""
    bgr = cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return bytes(data)


def write_png(file: Path, image: Picture) -> Path:
    """Write an RGB image [H, W, 3]; return ``file``.

    Raises:
        MapError: the file cannot be written.
    """
    try:
        file.write_bytes(encode_png(image))
    except OSError as err:
        raise MapError(f"picture {file} cannot be written: {err.strerror or err}") from err
    return file
