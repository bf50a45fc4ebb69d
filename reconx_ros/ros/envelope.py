"""The header of a serialised message, read without unpacking the message.

Image subscriptions take the serialised bytes (``raw=True``): matching by stamp needs 12 bytes of a
frame, and only the few frames that may become keyframes are unpacked at all.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from reconx_ros.errors import SourceError

Kind = Literal["Image", "CompressedImage", "CameraInfo"]


@dataclass(frozen=True)
class Envelope:
    """A message that starts with a ``std_msgs/Header``, still serialised.

    Attributes:
        kind: type of ``sensor_msgs``.
        stamp_ns: capture time in nanoseconds.
        frame_id: the frame of the header.
        payload: the whole message, CDR with its 4-byte encapsulation header.
    """

    kind: Kind
    stamp_ns: int
    frame_id: str
    payload: bytes


def read_envelope(kind: Kind, payload: bytes) -> Envelope:
    """Read the header of a CDR message.

    Raises:
        SourceError: the bytes end before the header does.
    """
    order = "<" if payload[1:2] == b"\x01" else ">"
    try:
        seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", payload, 4)
    except struct.error as err:
        raise SourceError(f"message of {len(payload)} bytes is too short to hold a header") from err
    frame = payload[16 : 16 + max(length - 1, 0)]
    if len(frame) != max(length - 1, 0):
        raise SourceError(f"message of {len(payload)} bytes ends within its header")
    return Envelope(kind, seconds * 10**9 + nanoseconds, frame.decode("utf-8", "replace"), payload)
