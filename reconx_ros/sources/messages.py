"""Messages of a recording as bytes, and the few types of them that are read here."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from backports import zstd
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from reconx_ros.errors import SourceError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TF = "tf2_msgs/msg/TFMessage"
ODOMETRY = "nav_msgs/msg/Odometry"

Wire = Literal["cdr", "ros1"]

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class DamagedMessageError(SourceError):
    """The bytes of a message are not of its type."""


@dataclass(frozen=True)
class RawMessage:
    """A recorded message.

    Attributes:
        topic: its name.
        msgtype: its type, e.g. ``sensor_msgs/msg/Image``.
        log_ns: when it was recorded, nanoseconds.
        wire: how ``data`` is serialised.
        data: the bytes, possibly compressed one by one with zstd.
    """

    topic: str
    msgtype: str
    log_ns: int
    wire: Wire
    data: bytes


def normal_type(name: str) -> str:
    """Return a message type as ROS 2 writes it: ``sensor_msgs/Image`` -> ``sensor_msgs/msg/Image``."""
    package, _, message = name.replace("/msg/", "/").partition("/")
    return TF if (package, message) == ("tf", "tfMessage") else f"{package}/msg/{message}"


def parse(message: RawMessage) -> Any:  # noqa: ANN401  a dataclass that rosbags makes at run time
    """Return the message as an object with the fields of its type.

    Only standard types are read, so the definitions inside a recording are not needed (db3 and
    damaged files lack them): the ones of ROS 2 Jazzy and ROS 1 Noetic serve.

    Raises:
        DamagedMessageError: the bytes are not of this type.
    """
    try:
        data = message.data
        if message.wire == "ros1":
            return _noetic().deserialize_ros1(data, message.msgtype)
        if data[:4] == _ZSTD_MAGIC:  # never a CDR header, whose first byte is 0
            data = zstd.decompress(data)
        return _jazzy().deserialize_cdr(data, message.msgtype)
    except Exception as err:  # rosbags raises whatever unpacking garbage gives
        why = " ".join(str(err).split())
        raise DamagedMessageError(
            f"{message.topic}: a message is damaged ({type(err).__name__}: {why})"
        ) from err


@cache
def _jazzy() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


@cache
def _noetic() -> Typestore:
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", TF))
    return store
