"""Points of a keyframe and distance fields as pictures: a tenth of their rows on the link."""

import array
import json
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from reconx_msgs.msg import WorkerReply
from sensor_msgs.msg import CompressedImage

from reconx_ros.ros.link_replies import Added, FieldUpdate
from reconx_ros.ros.link_values import camera_from_values, camera_values
from reconx_ros.ros.rows import POINT_TYPE, point_rows

ZERO_MM = 2**15
"""What stands for no distance in the picture of a field; it reaches 32 m."""

Picture = NDArray[np.uint8]


def added_message(added: Added) -> WorkerReply:
    """Return the points of a keyframe as pictures of depth and confidence: a tenth of their rows."""
    camera, rows = added.camera, added.points
    shape = (camera.height, camera.width)
    depth, confidence = np.zeros(shape, np.uint16), np.zeros(shape, np.uint8)
    scale = max(1e-3, float(rows["z"].max(initial=0.0)) / 65_000)
    if len(rows):
        k = camera.intrinsics
        column = np.rint(k[0, 0] * rows["x"] / rows["z"] + k[0, 2]).astype(int).clip(0, shape[1] - 1)
        row = np.rint(k[1, 1] * rows["y"] / rows["z"] + k[1, 2]).astype(int).clip(0, shape[0] - 1)
        depth[row, column] = np.rint(rows["z"] / scale)
        confidence[row, column] = np.rint(rows["confidence"] * 255)
    values = {
        "epoch": added.epoch,
        "name": added.name,
        "stamp_ns": added.stamp_ns,
        "camera_frame": added.camera_frame,
        "camera": camera_values(camera),
        "scale": scale,
    }
    pictures = [encoded(depth, ".png", "depth; png"), encoded(confidence, ".png", "confidence; png")]
    return WorkerReply(kind="added", values=json.dumps(values), pictures=pictures if len(rows) else [])


def read_added(message: WorkerReply, image_of: Callable[[str], Picture | None]) -> Added:
    """Return the points of a keyframe.

    Args:
        message: of ``added_message``.
        image_of: gives the picture of a keyframe by name, for their colours; grey without one.
    """
    values = json.loads(message.values)
    camera = camera_from_values(values["camera"])
    rows = np.zeros(0, POINT_TYPE)
    if message.pictures:
        units, confidence = (decoded(p, cv2.IMREAD_UNCHANGED) for p in message.pictures)
        depth = units.astype(np.float32) * np.float32(values["scale"])
        known = units > 0
        local = camera.rays()[known] * depth[known, None]
        image = image_of(values["name"])
        shown = image is not None and image.shape[:2] == known.shape
        colors = image[known] if image is not None and shown else np.full((len(local), 3), 128, np.uint8)
        share = confidence[known].astype(np.float32) / np.float32(255)
        rows = point_rows(local.astype(np.float32), colors, share, np.zeros(len(local), np.uint8))
    return Added(
        int(values["epoch"]),
        values["name"],
        int(values["stamp_ns"]),
        values["camera_frame"],
        rows,
        camera,
    )


def field_message(update: FieldUpdate) -> WorkerReply:
    """Return a distance field as a picture of millimetres: 0 is unknown, ``ZERO_MM`` no distance."""
    values = {
        "epoch": update.epoch,
        "stamp_ns": update.stamp_ns,
        "origin": update.origin.tolist(),
        "voxel_size": update.voxel_size,
        "shape": update.distance.shape,
    }
    units = np.rint(np.clip(update.distance * 1000, 1 - ZERO_MM, ZERO_MM - 1)) + ZERO_MM
    picture = np.where(np.isnan(units), 0, units).astype(np.uint16).reshape(len(units), -1)
    pictures = [encoded(picture, ".png", "distance; png")]
    return WorkerReply(kind="field", values=json.dumps(values), pictures=pictures)


def read_field(message: WorkerReply) -> FieldUpdate:
    """Return the distance field of ``field_message``."""
    values = json.loads(message.values)
    units = decoded(message.pictures[0], cv2.IMREAD_UNCHANGED).reshape(values["shape"])
    metres = (units.astype(np.float32) - ZERO_MM) / np.float32(1000)
    distance = np.where(units > 0, metres, np.float32(np.nan))
    origin = np.array(values["origin"], float).reshape(3)
    return FieldUpdate(
        int(values["epoch"]), int(values["stamp_ns"]), origin, float(values["voxel_size"]), distance
    )


def encoded(picture: NDArray[np.generic], ending: str, name: str) -> CompressedImage:
    """Return a picture as the bytes of a file with that ending; ``name`` says what and how."""
    data = array.array("B")
    data.frombytes(cv2.imencode(ending, np.ascontiguousarray(picture))[1].tobytes())
    return CompressedImage(format=name, data=data)


def decoded(picture: CompressedImage, flags: int) -> Picture:
    """Return the picture of ``encoded``, read with OpenCV's ``flags``.

    Raises:
        ValueError: it is damaged.
    """
    read = cv2.imdecode(np.frombuffer(picture.data, np.uint8), flags)
    if read is None:
        raise ValueError(f"picture '{picture.format}' cannot be read")
    return np.asarray(read)
