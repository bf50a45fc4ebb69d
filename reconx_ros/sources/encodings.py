"""Raw image encodings (``sensor_msgs/image_encodings``) to RGB and to metric depth.

Functions take the plain fields of an Image message, so that messages read by rosbags and by rclpy
feed them alike; ``data`` is anything with the buffer protocol and is never copied before use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SourceError

if TYPE_CHECKING:
    from array import array

Buffer: TypeAlias = "bytes | bytearray | memoryview[int] | array[int] | NDArray[np.uint8]"
"""What messages keep their bytes in."""

MILLIMETRE = np.float32(0.001)


class EncodingError(SourceError):
    """The encoding is not known here, or not one of the wanted kind."""


class DamagedImageError(SourceError):
    """The bytes of one image do not fit its header, or cannot be decompressed."""


@dataclass(frozen=True)
class Layout:
    """How the pixels of an encoding lie in memory.

    Attributes:
        scalar: numpy type of one value without its byte order, e.g. ``u2``.
        channels: values a pixel.
        to_rgb: [H, W, channels] in native byte order -> [H, W, 3] uint8 RGB.
    """

    scalar: str
    channels: int
    to_rgb: Callable[[NDArray[np.generic]], NDArray[np.uint8]]


def _pick(*channels: int) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """Return a converter that takes RGB from these channels; 16 bit keeps its upper byte."""

    def convert(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        if pixels.dtype.itemsize == 2:
            pixels = pixels.astype(np.uint16) >> 8
        return np.ascontiguousarray(pixels[..., list(channels)], dtype=np.uint8)

    return convert


def _through(code: int) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """Return a converter by OpenCV's conversion ``code``."""

    def convert(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        if pixels.dtype.itemsize == 2:
            pixels = (pixels.astype(np.uint16) >> 8).astype(np.uint8)
        squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(squeezed), code), dtype=np.uint8)

    return convert


_BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}

COLOUR: Mapping[str, Layout] = {
    "rgb8": Layout("u1", 3, _pick(0, 1, 2)),
    "rgba8": Layout("u1", 4, _pick(0, 1, 2)),
    "bgr8": Layout("u1", 3, _pick(2, 1, 0)),
    "bgra8": Layout("u1", 4, _pick(2, 1, 0)),
    "8UC3": Layout("u1", 3, _pick(2, 1, 0)),  # cv_bridge's convention: OpenCV's own order
    "8UC4": Layout("u1", 4, _pick(2, 1, 0)),
    "mono8": Layout("u1", 1, _pick(0, 0, 0)),
    "8UC1": Layout("u1", 1, _pick(0, 0, 0)),
    "rgb16": Layout("u2", 3, _pick(0, 1, 2)),
    "rgba16": Layout("u2", 4, _pick(0, 1, 2)),
    "bgr16": Layout("u2", 3, _pick(2, 1, 0)),
    "bgra16": Layout("u2", 4, _pick(2, 1, 0)),
    "mono16": Layout("u2", 1, _pick(0, 0, 0)),
    "yuv422": Layout("u1", 2, _through(cv2.COLOR_YUV2RGB_UYVY)),
    "uyvy": Layout("u1", 2, _through(cv2.COLOR_YUV2RGB_UYVY)),
    "yuv422_yuy2": Layout("u1", 2, _through(cv2.COLOR_YUV2RGB_YUY2)),
    "yuyv": Layout("u1", 2, _through(cv2.COLOR_YUV2RGB_YUY2)),
    **{f"bayer_{name}8": Layout("u1", 1, _through(code)) for name, code in _BAYER.items()},
    **{f"bayer_{name}16": Layout("u2", 1, _through(code)) for name, code in _BAYER.items()},
}

DEPTH: Mapping[str, str] = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
"""Depth encodings and the numpy type of a value: unsigned millimetres, or metres (REP-118)."""


def decode_image(
    encoding: str, height: int, width: int, step: int, data: Buffer, is_bigendian: bool = False
) -> NDArray[np.uint8]:
    """Return the [height, width, 3] uint8 RGB picture of a raw colour or grey image.

    Args:
        encoding: as in ``sensor_msgs/Image``.
        height: rows.
        width: columns.
        step: bytes from one row to the next; rows may be padded.
        data: the pixels.
        is_bigendian: byte order of 16-bit values.

    Raises:
        EncodingError: the encoding is not in ``COLOUR``.
        DamagedImageError: ``data`` is too short, or ``step`` shorter than a row.
    """
    layout = COLOUR.get(encoding)
    if layout is None:
        raise EncodingError(f"image encoding '{encoding}' is unknown; known: {', '.join(COLOUR)}")
    if layout.channels == 2 and width % 2:
        raise DamagedImageError(f"image of encoding {encoding} must have an even width, not {width}")
    pixels = unpack(layout.scalar, layout.channels, height, width, step, data, is_bigendian)
    return layout.to_rgb(pixels)


def decode_depth(
    encoding: str, height: int, width: int, step: int, data: Buffer, is_bigendian: bool = False
) -> NDArray[np.float32]:
    """Return the [height, width] float32 depth in metres, NaN where unknown.

    Zero, negative, NaN and infinite values (too near, too far: REP-118) are unknown. Arguments and
    errors are those of :func:`decode_image`; the encoding must be in ``DEPTH``.
    """
    scalar = DEPTH.get(encoding)
    if scalar is None:
        raise EncodingError(f"depth encoding '{encoding}' is unknown; known: {', '.join(DEPTH)}")
    return metres(unpack(scalar, 1, height, width, step, data, is_bigendian)[..., 0])


def metres(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return depth in metres, NaN where unknown, of integer millimetres or float metres."""
    depth = values.astype(np.float32)
    if values.dtype.kind == "u":
        depth *= MILLIMETRE
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def unpack(
    scalar: str, channels: int, height: int, width: int, step: int, data: Buffer, is_bigendian: bool
) -> NDArray[np.generic]:
    """Return a [height, width, channels] view of ``data`` (no copy), rows ``step`` bytes apart.

    Raises:
        DamagedImageError: the sizes do not fit together.
    """
    dtype = np.dtype(scalar).newbyteorder(">" if is_bigendian else "<")
    row = width * channels * dtype.itemsize
    if height < 1 or width < 1:
        raise DamagedImageError(f"image is empty: {width} x {height} pixels")
    if step < row:
        raise DamagedImageError(f"image step is {step} bytes, but a row of {width} pixels needs {row}")
    size, needed = np.frombuffer(data, np.uint8).nbytes, (height - 1) * step + row
    if size < needed:
        raise DamagedImageError(f"image of {width} x {height} pixels needs {needed} bytes, has {size}")
    strides = (step, channels * dtype.itemsize, dtype.itemsize)
    return np.ndarray((height, width, channels), dtype, buffer=data, strides=strides)
