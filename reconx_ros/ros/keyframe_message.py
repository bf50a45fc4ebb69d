"""Keyframes as ``reconx_msgs/Keyframe``: what travels to another machine and rests in the journal."""

import array
import math
import re

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from reconx_msgs.msg import Keyframe as KeyframeMessage

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.messages import header, pose_message
from reconx_ros.sources.compressed import decode_compressed_image
from reconx_ros.sources.rigid import matrix_from_pose
from reconx_ros.sources.rvl import decode_rvl, encode_rvl
from reconx_ros.sources.transform_messages import stamp_ns

MILLIMETRE = 1e-3
DEEPEST = 65_000
"""Units of the deepest depth; a scene deeper than 65 m gets coarser units."""


_FILE_NAME = re.compile(r"\w[\w.-]*")


class DamagedKeyframeError(SourceError):
    """The bytes are no keyframe that can be used."""


def keyframe_to_message(
    keyframe: Keyframe,
    camera_frame: str,
    map_frame: str = "",
    image_format: str = "png",
    quality: int = 92,
    depth_format: str = "png",
) -> KeyframeMessage:
    """Return a keyframe as a message.

    Args:
        keyframe: to send.
        camera_frame: its optical frame.
        map_frame: the world of its pose.
        image_format: ``png`` (lossless), ``jpeg`` or ``webp``.
        quality: of ``jpeg`` and ``webp``, 1 to 100.
        depth_format: ``png`` or ``rvl``, both lossless in units of a millimetre (coarser beyond 65 m).
    """
    covariance = keyframe.pose_covariance
    message = KeyframeMessage(
        header=header(camera_frame, keyframe.stamp_ns),
        name=keyframe.name,
        map_frame=map_frame or "map",
        pose_in_map=pose_message(keyframe.camera.world_from_camera),
        pose_covariance=[math.nan, *[0.0] * 35] if covariance is None else covariance.reshape(36),
        k=keyframe.camera.intrinsics.reshape(9),
        width=keyframe.camera.width,
        height=keyframe.camera.height,
        image_format=image_format,
        image=_bytes(_encoded(keyframe.image, image_format, quality)),
    )
    if keyframe.depth is not None:
        units, scale = _units(keyframe.depth)
        packed = encode_rvl(units) if depth_format == "rvl" else _png(units)
        message.depth_format, message.depth_scale, message.depth = depth_format, scale, _bytes(packed)
    return message


def keyframe_from_message(message: KeyframeMessage) -> tuple[Keyframe, str]:
    """Return the keyframe of a message and its optical frame.

    Raises:
        SourceError: pictures are damaged, or sizes or numbers make no sense.
    """
    if not _FILE_NAME.fullmatch(message.name):
        raise DamagedKeyframeError(f"keyframe '{message.name}': its name cannot be that of a file")
    width, height = int(message.width), int(message.height)
    image = decode_compressed_image(message.image_format, message.image)
    if image.shape != (height, width, 3):
        raise DamagedKeyframeError(
            f"keyframe {message.name}: its picture is {image.shape[1]} x {image.shape[0]}, not "
            f"{width} x {height}"
        )
    place, turn = message.pose_in_map.position, message.pose_in_map.orientation
    numbers = np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w, *message.k])
    if not np.isfinite(numbers).all() or abs(np.linalg.norm(numbers[3:7]) - 1) > 0.1:
        raise DamagedKeyframeError(f"keyframe {message.name}: its pose or intrinsics are no numbers")
    pose = matrix_from_pose(numbers[:3], numbers[3:7] / np.linalg.norm(numbers[3:7]))
    camera = Camera(numbers[7:].reshape(3, 3), pose, width, height)
    covariance = np.array(message.pose_covariance).reshape(6, 6)
    return (
        Keyframe(
            message.name,
            stamp_ns(message.header.stamp),
            image,
            camera,
            _depth(message, (height, width)),
            bool(message.map_frame),
            covariance if np.isfinite(covariance[0, 0]) else None,
        ),
        message.header.frame_id,
    )


def pack_keyframe(keyframe: Keyframe, camera_frame: str) -> bytes:
    """Return a keyframe as bytes, lossless but for depth, which is rounded to millimetres."""
    return bytes(serialize_message(keyframe_to_message(keyframe, camera_frame)))


def unpack_keyframe(data: bytes) -> tuple[Keyframe, str]:
    """Return what ``pack_keyframe`` packed.

    Raises:
        SourceError: the bytes are damaged or cut.
    """
    try:
        message = deserialize_message(data, KeyframeMessage)
    except Exception as err:  # rclpy raises its own plain errors
        raise DamagedKeyframeError(f"keyframe of {len(data)} bytes is damaged: {err}") from err
    return keyframe_from_message(message)


def _depth(message: KeyframeMessage, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    if not message.depth_format:
        return None
    data = np.frombuffer(message.depth, np.uint8)
    units = decode_rvl(data) if message.depth_format == "rvl" else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if units is None or units.shape != shape or units.dtype != np.uint16:
        raise DamagedKeyframeError(f"keyframe {message.name}: its depth cannot be read")
    metres = units.astype(np.float32) * np.float32(message.depth_scale)
    metres[units == 0] = np.nan
    return np.asarray(metres, np.float32)


def _units(depth: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    """Return depth in whole units, 0 unknown, and the metres of a unit."""
    deepest = float(np.nanmax(depth, initial=0.0))
    scale = max(MILLIMETRE, deepest / DEEPEST)
    with np.errstate(invalid="ignore"):
        units = np.rint(np.nan_to_num(depth, nan=0.0) / scale)
    return units.astype(np.uint16), scale


def _encoded(image: NDArray[np.uint8], image_format: str, quality: int) -> NDArray[np.uint8]:
    options = {
        "png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
        "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]),
        "webp": (".webp", [cv2.IMWRITE_WEBP_QUALITY, quality]),
    }
    ending, flags = options[image_format]
    return np.asarray(cv2.imencode(ending, np.ascontiguousarray(image[..., ::-1]), flags)[1])


def _png(units: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imencode(".png", units, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _bytes(data: NDArray[np.uint8]) -> "array.array[int]":
    out = array.array("B")
    out.frombytes(np.ascontiguousarray(data).data)
    return out
