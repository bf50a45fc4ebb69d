# ruff: noqa: ANN401  messages are classes that rosbags makes at run time
"""Small bags, written through rosbags in every format."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from reconx_ros.sources.messages import TF

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000

Entry = tuple[str, Any, int]
"""Topic, message, time of recording (ns)."""


class Messages:
    """Makes messages of ROS 2 or ROS 1 from the same plain values."""

    def __init__(self, ros1: bool) -> None:
        self.ros1 = ros1
        self.store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
        if ros1:
            self.store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", TF))

    def _make(self, name: str, *values: Any) -> Any:
        return self.store.types[name](*values)

    def header(self, stamp: int, frame: str) -> Any:
        time = self._make("builtin_interfaces/msg/Time", stamp // 10**9, stamp % 10**9)
        return self._make("std_msgs/msg/Header", *([0] if self.ros1 else []), time, frame)

    def image(self, stamp: int, frame: str, encoding: str, pixels: np.ndarray, **other: Any) -> Any:
        pixels = np.ascontiguousarray(pixels)
        data = pixels.view(np.uint8).reshape(-1)
        height, width = pixels.shape[:2]
        fields = {"height": height, "width": width, "step": data.size // height, **other}
        return self._make(
            "sensor_msgs/msg/Image",
            self.header(stamp, frame),
            fields["height"],
            fields["width"],
            encoding,
            0,
            fields["step"],
            data,
        )

    def compressed(self, stamp: int, frame: str, format_: str, data: np.ndarray) -> Any:
        return self._make("sensor_msgs/msg/CompressedImage", self.header(stamp, frame), format_, data)

    def camera_info(
        self, stamp: int, frame: str, width: int, height: int, k: Iterable[float], **other: Any
    ) -> Any:
        fields = {"model": "plumb_bob", "d": [0.0] * 5, **other}
        k = np.array(list(k), dtype=np.float64)
        p = np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).reshape(-1)
        roi = self._make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        return self._make(
            "sensor_msgs/msg/CameraInfo",
            self.header(stamp, frame),
            height,
            width,
            fields["model"],
            np.array(fields["d"], dtype=np.float64),
            k,
            np.eye(3).reshape(-1),
            p,
            0,
            0,
            roi,
        )

    def _vector(self, values: Iterable[float], name: str = "Vector3") -> Any:
        return self._make(f"geometry_msgs/msg/{name}", *(float(v) for v in values))

    def tf(self, *edges: tuple[int, str, str, Iterable[float], Iterable[float]]) -> Any:
        transforms = []
        for stamp, parent, child, translation, quaternion in edges:
            transform = self._make(
                "geometry_msgs/msg/Transform",
                self._vector(translation),
                self._vector(quaternion, "Quaternion"),
            )
            header = self.header(stamp, parent)
            transforms.append(self._make("geometry_msgs/msg/TransformStamped", header, child, transform))
        return self._make(TF, transforms)

    def odometry(self, stamp: int, parent: str, child: str, translation: Iterable[float]) -> Any:
        pose = self._make(
            "geometry_msgs/msg/Pose",
            self._vector(translation, "Point"),
            self._vector((0, 0, 0, 1), "Quaternion"),
        )
        twist = self._make("geometry_msgs/msg/Twist", self._vector((0, 0, 0)), self._vector((0, 0, 0)))
        return self._make(
            "nav_msgs/msg/Odometry",
            self.header(stamp, parent),
            child,
            self._make("geometry_msgs/msg/PoseWithCovariance", pose, np.zeros(36)),
            self._make("geometry_msgs/msg/TwistWithCovariance", twist, np.zeros(36)),
        )


@dataclass(frozen=True)
class Bags:
    """Writes recordings into a temporary folder."""

    folder: Path

    @staticmethod
    def messages(kind: str) -> Messages:
        return Messages(ros1=kind == "bag")

    def write(self, kind: str, entries: Iterable[Entry], name: str = "run", zstd: bool = False) -> Path:
        """Write ``entries`` as ``mcap``, ``db3`` or ``bag``; return what a user would name."""
        make = self.messages(kind)
        path = self.folder / (f"{name}.bag" if kind == "bag" else name)
        if kind == "bag":
            writer: Any = Ros1Writer(path)
        else:
            plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
            writer = Ros2Writer(path, version=8, storage_plugin=plugin)
            if zstd:
                writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        serialise = make.store.serialize_ros1 if kind == "bag" else make.store.serialize_cdr
        with writer:
            connections: dict[str, Any] = {}
            for topic, message, log_ns in entries:
                kind_name = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind_name, typestore=make.store)
                writer.write(connections[topic], log_ns, serialise(message, kind_name))
        return path


@pytest.fixture
def bags(tmp_path: Path) -> Bags:
    return Bags(tmp_path)


def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return [36, 48, 3] uint8 RGB and [36, 48] uint16 millimetres with unknown pixels."""
    rows, columns = np.mgrid[:36, :48]
    image = np.stack([columns * 5, rows * 7, np.full_like(rows, 20 * index + 10)], axis=-1).astype(np.uint8)
    depth = (1000 + 10 * columns + 3 * rows + 50 * index).astype(np.uint16)
    depth[:4, :4] = 0
    return image, depth


INTRINSICS = (40.0, 0.0, 23.5, 0.0, 41.0, 17.5, 0.0, 0.0, 1.0)


def entries(make: Messages, frames: int = 4, skip: tuple[str, ...] = (), **swap: Any) -> list[Entry]:
    """Return a small recording: raw rgb8 and 16UC1, calibration, and poses between the images.

    The camera moves 0.1 m along x a frame; transforms are stamped half a step beside the images.

    Args:
        make: of the format.
        frames: number of images.
        skip: topics to leave out.
        swap: ``image`` or ``depth``: a function of stamp and index giving (topic, message) instead.
    """
    static = make.tf(
        (START_NS, "map", "odom", (0, 0, 1), (0, 0, 0, 1)),
        (START_NS, "base_link", "camera", (0, 0.5, 0), (0.5, -0.5, 0.5, -0.5)),
    )
    out: list[Entry] = [("/tf_static", static, START_NS - STEP_NS)]
    for index in range(-1, frames + 1):
        stamp = START_NS + index * STEP_NS
        before = stamp - STEP_NS // 2
        moved = ((index - 0.5) * 0.1, 0, 0)
        out.append(("/tf", make.tf((before, "odom", "base_link", moved, (0, 0, 0, 1))), before))
        out.append(("/odom", make.odometry(before, "odom", "base_link", moved), before))
        if 0 <= index < frames:
            image, depth = scene(index)
            info = make.camera_info(stamp, "camera", 48, 36, INTRINSICS)
            out.append(("/camera/color/camera_info", info, stamp))
            out.append(("/camera/aligned_depth_to_color/camera_info", info, stamp))
            colour = ("/camera/color/image_raw", make.image(stamp, "camera", "rgb8", image))
            out.append((*swap.get("image", lambda *_, c=colour: c)(stamp, index), stamp))
            raw = make.image(stamp + 1_000_000, "camera", "16UC1", depth)
            measured = ("/camera/aligned_depth_to_color/image_raw", raw)
            out.append((*swap.get("depth", lambda *_, m=measured: m)(stamp, index), stamp + 1_000_000))
    return sorted((entry for entry in out if entry[0] not in skip), key=lambda entry: entry[2])


@pytest.fixture
def recording() -> SimpleNamespace:
    """The pieces of a small recording: ``entries``, ``scene`` and its constants."""
    return SimpleNamespace(
        entries=entries, scene=scene, intrinsics=INTRINSICS, start_ns=START_NS, step_ns=STEP_NS
    )
