"""Commands and replies as messages: keyframes as pictures, maps as changed rows of half precision."""

import array
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from reconx_msgs.msg import WorkerCommand, WorkerReply

from reconx_ros.ros.deltas import RowDelta
from reconx_ros.ros.half_rows import half_message, rows_from_half
from reconx_ros.ros.keyframe_message import keyframe_from_message, keyframe_to_message
from reconx_ros.ros.link_commands import AddKeyframe, Command
from reconx_ros.ros.link_pictures import (
    Picture,
    added_message,
    decoded,
    encoded,
    field_message,
    read_added,
    read_field,
)
from reconx_ros.ros.link_replies import Added, FieldUpdate, MapUpdate, Reply
from reconx_ros.ros.link_values import (
    LinkError,
    camera_from_values,
    camera_values,
    command_from_values,
    command_values,
    reply_from_values,
    reply_values,
)
from reconx_ros.ros.rows import Rows, joined

PART_ROWS = 4096
"""Rows of a cloud in one message: a quarter to half a megabyte."""


@dataclass(frozen=True)
class PictureFormat:
    """How keyframes are compressed for the link.

    Attributes:
        image: ``jpeg``, ``webp`` or ``png`` (lossless).
        quality: of jpeg and webp, 1 to 100.
        depth: ``png`` or ``rvl``, both lossless.
    """

    image: str = "jpeg"
    quality: int = 90
    depth: str = "png"


def command_message(command: Command, world: str, pictures: PictureFormat) -> WorkerCommand:
    """Return a command as a message; session, number and worker are the link's to fill in."""
    if not isinstance(command, AddKeyframe):
        kind, values = command_values(command)
        return WorkerCommand(kind=kind, values=values)
    keyframe = keyframe_to_message(
        command.keyframe, command.camera_frame, world, pictures.image, pictures.quality, pictures.depth
    )
    values = json.dumps({"catching_up": command.catching_up})
    return WorkerCommand(kind="keyframe", values=values, keyframe=[keyframe])


def command_from_message(message: WorkerCommand, folder: Path) -> Command:
    """Return the command of a message.

    Raises:
        ReconxError: it makes no sense; one line says why.
    """
    if message.kind != "keyframe":
        return command_from_values(message.kind, message.values, folder)
    if not message.keyframe:
        raise LinkError("a keyframe over the link has no keyframe in it")
    keyframe, frame = keyframe_from_message(message.keyframe[0])
    try:
        catching_up = bool(json.loads(message.values).get("catching_up", False))
    except (ValueError, AttributeError) as err:
        raise LinkError(f"'keyframe' over the link makes no sense: {err}") from err
    return AddKeyframe(keyframe, frame, catching_up)


def reply_messages(reply: Reply) -> Iterator[WorkerReply]:
    """Give a reply as messages: a map in as many parts as it needs, all else as one."""
    if isinstance(reply, MapUpdate):
        yield from _map_messages(reply)
    elif isinstance(reply, Added):
        yield added_message(reply)
    elif isinstance(reply, FieldUpdate):
        yield field_message(reply)
    else:
        kind, values = reply_values(reply)
        yield WorkerReply(kind=kind, values=values)


@dataclass
class ReplyReader:
    """Puts replies together again.

    Attributes:
        image_of: gives the picture of a keyframe by name, for the colours of its points.
    """

    image_of: Callable[[str], Picture | None]
    _points: list[Rows] = field(default_factory=list)
    _gaussians: list[Rows] = field(default_factory=list)

    def read(self, message: WorkerReply) -> Reply | None:
        """Return a reply, ``None`` where more parts of it are to come.

        Raises:
            LinkError: it makes no sense.
        """
        try:
            if message.kind == "added":
                return read_added(message, self.image_of)
            if message.kind == "map":
                return self._map(message)
            if message.kind == "field":
                return read_field(message)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as err:
            line = f"{type(err).__name__}: {err}"
            raise LinkError(f"'{message.kind}' over the link makes no sense: {line}") from err
        return reply_from_values(message.kind, message.values)

    def _map(self, message: WorkerReply) -> MapUpdate | None:
        values = json.loads(message.values)
        if values["part"] == 0:
            self._points, self._gaussians = [], []
        self._points += [rows_from_half(cloud) for cloud in message.points]
        self._gaussians += [rows_from_half(cloud) for cloud in message.gaussians]
        if values["part"] + 1 < values["parts"]:
            return None
        views = tuple((int(stamp), camera_from_values(numbers)) for stamp, numbers in values["views"])
        preview = [decoded(p, cv2.IMREAD_COLOR)[..., ::-1] for p in message.pictures]
        return MapUpdate(
            int(values["epoch"]),
            _delta(values["points"], message.removed_points, self._points),
            _delta(values["gaussians"], message.removed_gaussians, self._gaussians),
            views,
            values["loss"],
            values["seconds"],
            np.ascontiguousarray(preview[0]) if preview else None,
            values["preview_frame"],
            (int(values["submaps"][0]), int(values["submaps"][1])),
            str(values["synthesis"]),
            str(values["geometry"]),
            {str(reason): int(count) for reason, count in values["pruned"].items()},
        )


def _map_messages(update: MapUpdate) -> Iterator[WorkerReply]:
    points, gaussians = update.points.changed, update.gaussians.changed
    parts = max(1, -(-len(points) // PART_ROWS), -(-len(gaussians) // PART_ROWS))
    for part in range(parts - 1):
        values = json.dumps({"part": part, "parts": parts})
        yield _rows_message(values, points, gaussians, part)
    values = json.dumps(
        {
            "part": parts - 1,
            "parts": parts,
            "epoch": update.epoch,
            "points": _delta_values(update.points),
            "gaussians": _delta_values(update.gaussians),
            "views": [(stamp, camera_values(camera)) for stamp, camera in update.views],
            "loss": update.loss,
            "seconds": update.seconds,
            "preview_frame": update.preview_frame,
            "submaps": update.submaps,
            "synthesis": update.synthesis,
            "geometry": update.geometry,
            "pruned": update.pruned,
        }
    )
    last = _rows_message(values, points, gaussians, parts - 1)
    last.removed_points, last.removed_gaussians = (
        _numbers(delta.removed) for delta in (update.points, update.gaussians)
    )
    if update.preview is not None:
        last.pictures = [encoded(update.preview[..., ::-1], ".jpg", "preview; jpeg")]
    yield last


def _rows_message(values: str, points: Rows, gaussians: Rows, part: int) -> WorkerReply:
    rows = slice(part * PART_ROWS, (part + 1) * PART_ROWS)
    return WorkerReply(
        kind="map",
        values=values,
        points=[half_message(points[rows])],
        gaussians=[half_message(gaussians[rows])],
    )


def _delta_values(delta: RowDelta) -> list[int]:
    return [delta.version, delta.base_version, delta.count, delta.checksum]


def _delta(numbers: list[int], removed: "array.array[int]", parts: list[Rows]) -> RowDelta:
    version, base, count, checksum = (int(number) for number in numbers)
    return RowDelta(version, base, count, checksum, np.array(removed, np.uint32), joined(parts))


def _numbers(ids: NDArray[np.uint32]) -> "array.array[int]":
    out = array.array("I")
    out.frombytes(np.ascontiguousarray(ids, np.uint32).tobytes())
    return out
