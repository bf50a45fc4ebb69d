"""Writing frames as a ROS 2 bag, laid out as a robot with an RGB-D camera records it."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.simulation.messages import Message, Messages

COLOR_FRAME = "camera_color_optical_frame"
DEPTH_FRAME = "camera_depth_optical_frame"
Storage = Literal["mcap", "sqlite3"]
Array = NDArray[np.float64]

BASE_FROM_DEPTH = np.array(
    [[0.0, 0.0, 1.0, 0.12], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.25], [0.0, 0.0, 0.0, 1.0]]
)
DEPTH_FROM_COLOR = np.array(
    [[1.0, 0.0, 0.0, 0.015], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)

_FOREVER = QosTime(2147483647, 4294967295)
_TOPICS = {
    "tf_static": ("/tf_static", "tf2_msgs/msg/TFMessage"),
    "tf": ("/tf", "tf2_msgs/msg/TFMessage"),
    "odom": ("/odom", "nav_msgs/msg/Odometry"),
    "color_info": ("/camera/color/camera_info", "sensor_msgs/msg/CameraInfo"),
    "color": ("/camera/color/image_raw", "sensor_msgs/msg/Image"),
    "compressed": ("/camera/color/image_raw/compressed", "sensor_msgs/msg/CompressedImage"),
    "depth_info": ("/camera/aligned_depth_to_color/camera_info", "sensor_msgs/msg/CameraInfo"),
    "depth": ("/camera/aligned_depth_to_color/image_raw", "sensor_msgs/msg/Image"),
}


def write_bag(
    path: Path,
    frames: Iterable[Keyframe],
    *,
    storage: Storage = "mcap",
    raw: bool = False,
    jpeg_quality: int = 95,
    overwrite: bool = False,
) -> int:
    """Write frames to a new ROS 2 bag.

    Topics: colour (JPEG, or raw), depth registered to it (16UC1, millimetres, 0 unknown), both
    camera_info, ``/odom``, ``/tf`` odom -> base_link, ``/tf_static`` map -> odom and base_link ->
    depth -> colour optical frame; map and odom are the world. The bag appears under its name only
    when it is whole.

    Args:
        path: the folder to make.
        frames: posed frames in time order.
        storage: the bag's file format.
        raw: write ``rgb8`` images instead of JPEG.
        jpeg_quality: 1 to 100.
        overwrite: replace what is at ``path``.

    Returns:
        The number of frames written.

    Raises:
        SourceError: ``path`` exists, cannot be written, or there are no frames.
    """
    path = Path(path)
    check_output(path, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".reconx-", dir=path.parent) as folder:
            part = Path(folder) / path.name
            count = _write(part, frames, storage, raw, jpeg_quality)
            if overwrite and path.exists():
                shutil.rmtree(path)
            part.rename(path)
    except OSError as err:
        raise SourceError(f"bag {path} cannot be written: {err.strerror or err}") from err
    return count


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse an output that exists, unless it is a bag and may be replaced.

    Raises:
        SourceError: the path is taken.
    """
    if not path.exists():
        return
    if not overwrite:
        raise SourceError(f"{path} exists already; choose another name, or ask to overwrite it")
    if not (path / "metadata.yaml").is_file():
        raise SourceError(f"{path} is not a bag folder and is not overwritten")


def _write(path: Path, frames: Iterable[Keyframe], storage: Storage, raw: bool, quality: int) -> int:
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    messages = Messages(get_typestore(Stores.ROS2_JAZZY))
    count = 0
    with Writer(path, version=8, storage_plugin=plugin) as writer:
        recorder = _Recorder(writer, messages, raw, quality)
        for frame in frames:
            if count == 0:
                recorder.start(frame)
            recorder.record(frame)
            count += 1
        if count == 0:
            raise SourceError(f"bag {path.name} would be empty: there are no frames")
    return count


class _Recorder:
    """Writes the messages of one frame after the other."""

    def __init__(self, writer: Writer, messages: Messages, raw: bool, quality: int) -> None:
        self._writer, self._messages, self._quality = writer, messages, quality
        skipped = "compressed" if raw else "color"
        self._color = "color" if raw else "compressed"
        self._connections = {
            key: writer.add_connection(
                topic,
                kind,
                typestore=messages.typestore,
                offered_qos_profiles=[_qos(latched=key == "tf_static")],
            )
            for key, (topic, kind) in _TOPICS.items()
            if key != skipped
        }

    def start(self, frame: Keyframe) -> None:
        """Write the transforms that never change."""
        links = [
            ("map", "odom", np.eye(4)),
            ("base_link", DEPTH_FRAME, BASE_FROM_DEPTH),
            (DEPTH_FRAME, COLOR_FRAME, DEPTH_FROM_COLOR),
        ]
        self._put("tf_static", frame.stamp_ns, self._messages.transforms(frame.stamp_ns, links))

    def record(self, frame: Keyframe) -> None:
        """Write one frame's pose, camera and images."""
        stamp, make = frame.stamp_ns, self._messages
        base = odom_from_base(frame.camera)
        self._put("tf", stamp, make.transforms(stamp, [("odom", "base_link", base)]))
        self._put("odom", stamp, make.odometry(stamp, "odom", "base_link", base))
        self._put("color_info", stamp, make.camera_info(stamp, COLOR_FRAME, frame.camera))
        image = (
            make.image(stamp, COLOR_FRAME, frame.image, "rgb8")
            if self._color == "color"
            else make.compressed(stamp, COLOR_FRAME, frame.image, self._quality)
        )
        self._put(self._color, stamp, image)
        if frame.depth is not None:
            self._put("depth_info", stamp, make.camera_info(stamp, COLOR_FRAME, frame.camera))
            depth = make.image(stamp, COLOR_FRAME, millimetres(frame.depth), "16UC1")
            self._put("depth", stamp, depth)

    def _put(self, key: str, stamp_ns: int, message: Message) -> None:
        connection = self._connections[key]
        data = self._messages.typestore.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, stamp_ns, data)


def odom_from_base(camera: Camera) -> Array:
    """Return [4, 4] the pose of ``base_link`` for a colour camera at ``camera``."""
    pose: Array = camera.world_from_camera @ np.linalg.inv(BASE_FROM_DEPTH @ DEPTH_FROM_COLOR)
    return pose


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return depth in whole millimetres, 0 where unknown or beyond 65.535 m."""
    value = np.nan_to_num(np.rint(depth.astype(np.float64) * 1000), nan=0.0, posinf=0.0)
    return np.where((value > 0) & (value <= 65535), value, 0).astype(np.uint16)


def _qos(latched: bool) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 10,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )
