"""Compressed images (``compressed`` and ``compressedDepth`` of image_transport) to RGB and metric depth."""

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.encodings import COLOUR, Buffer, DamagedImageError, EncodingError, metres
from reconx_ros.sources.rvl import decode_rvl

HEADER = np.dtype([("format", "<i4"), ("a", "<f4"), ("b", "<f4")])
"""What compressedDepth writes before the picture: depth of 32FC1 is a / (value - b)."""


def decode_compressed_image(format_: str, data: Buffer) -> NDArray[np.uint8]:
    """Return the [H, W, 3] uint8 RGB picture of a ``sensor_msgs/CompressedImage``.

    Args:
        format_: its ``format``, e.g. ``jpeg`` or ``bayer_rggb8; jpeg compressed bayer_rggb8``.
        data: a JPEG, PNG or other picture that OpenCV reads.

    Raises:
        DamagedImageError: the picture cannot be decompressed.
    """
    stored = format_.partition("compressed")[2].strip()
    if stored.startswith("bayer_") and stored in COLOUR:
        mosaic = _imdecode(data, cv2.IMREAD_UNCHANGED, format_)
        return COLOUR[stored].to_rgb(mosaic[..., None])
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return np.ascontiguousarray(_imdecode(data, flags, format_)[..., ::-1])


def decode_compressed_depth(format_: str, data: Buffer) -> NDArray[np.float32]:
    """Return the [H, W] float32 depth in metres, NaN where unknown, of a ``CompressedImage``.

    Args:
        format_: its ``format``, e.g. ``16UC1; compressedDepth png``, ``32FC1; compressedDepth rvl``,
            or ``16UC1; png compressed`` where depth went through the plain transport.
        data: a header of 12 bytes and the picture, or the picture alone for the plain transport.

    Raises:
        EncodingError: the format is not one of depth.
        DamagedImageError: the picture cannot be decompressed.
    """
    encoding = format_.partition(";")[0].strip()
    if "compressedDepth" not in format_:
        return _plain(_imdecode(data, cv2.IMREAD_UNCHANGED, format_), format_)
    if encoding not in ("16UC1", "mono16", "32FC1"):
        raise EncodingError(
            f"compressed depth '{format_}' is unknown; known: 16UC1, mono16 and 32FC1 as png or rvl"
        )
    payload = np.frombuffer(data, np.uint8)
    if payload.size <= HEADER.itemsize:
        raise DamagedImageError(f"compressed depth has {payload.size} bytes, less than its header")
    header, body = payload[: HEADER.itemsize].view(HEADER)[0], payload[HEADER.itemsize :]
    stored = (
        decode_rvl(body)
        if format_.rstrip().endswith("rvl")
        else _imdecode(body, cv2.IMREAD_UNCHANGED, format_)
    )
    if encoding != "32FC1":
        return _plain(stored, format_)
    if stored.dtype == np.float32:
        return metres(stored)
    inverse = stored.astype(np.float32)
    with np.errstate(divide="ignore"):
        depth = header["a"] / (inverse - header["b"])
    return metres(np.where(inverse > 0, depth, np.float32(np.nan)))


def _plain(picture: NDArray[np.generic], format_: str) -> NDArray[np.float32]:
    if picture.ndim != 2 or picture.dtype != np.uint16:
        kind = f"{picture.dtype} with {1 if picture.ndim == 2 else picture.shape[2]} channels"
        raise EncodingError(
            f"compressed depth '{format_}' holds {kind}; depth must be 16 bit in millimetres"
        )
    return metres(picture)


def _imdecode(data: Buffer, flags: int, format_: str) -> NDArray[np.generic]:
    buffer = np.frombuffer(data, np.uint8)
    try:
        picture = cv2.imdecode(buffer, flags) if buffer.size else None
    except cv2.error:
        picture = None
    if picture is None:
        raise DamagedImageError(f"compressed image '{format_}' of {buffer.size} bytes cannot be decoded")
    return np.asarray(picture)
