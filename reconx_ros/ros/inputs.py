"""The node's subscriptions: image topics found through remapping, raw bytes handed to ``Ingest``."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry, Path
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from reconx_ros.ros.envelope import Kind
from reconx_ros.ros.ingest import Ingest
from reconx_ros.ros.parameters import Parameters
from reconx_ros.ros.pose_source import LivePoses
from reconx_ros.ros.qos import input_qos, latched, reliable
from reconx_ros.sources.topics import base_topic

COMPRESSED = {"image": "compressed", "depth": "compressedDepth", "right_image": "compressed"}
"""What image_transport appends to a topic for its compressed form."""


def image_topics(node: Node, name: str) -> tuple[str, str]:
    """Return the raw and the compressed topic of the input ``name`` after remapping.

    A remapping of ``image/compressed`` itself counts; else the compressed topic lies under the
    remapped ``image``, as with image_transport.
    """
    raw, suffix = node.resolve_topic_name(name), COMPRESSED[name]
    own = node.resolve_topic_name(f"{name}/{suffix}")
    if own == node.resolve_topic_name(f"{name}/{suffix}", only_expand=True):
        return raw, f"{raw}/{suffix}"
    remapped = raw != node.resolve_topic_name(name, only_expand=True)
    return raw if remapped else base_topic(own), own


class Inputs:
    """Every subscription; they exist while the node is active.

    Args:
        node: that subscribes.
        parameters: transports, reliability.
        ingest: takes images and camera_info.
        poses: takes transforms and odometry.
        trajectory: takes the path that SLAM has optimised.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        ingest: Ingest,
        poses: LivePoses,
        trajectory: Callable[[Any], None] | None = None,
    ) -> None:
        self._node, self._ingest = node, ingest
        self._qos = input_qos(parameters.input_qos)
        self._images: dict[str, list[Any]] = {"image": [], "depth": [], "right_image": []}
        self.topics: dict[str, str] = {}
        self._all = [
            self._subscribe(TFMessage, "/tf", partial(poses.add_transforms, static=False), reliable(100)),
            self._subscribe(
                TFMessage, "/tf_static", partial(poses.add_transforms, static=True), latched(100)
            ),
            self._subscribe(Odometry, "odom", poses.add_odometry, input_qos("best_effort")),
        ]
        if trajectory is not None:
            self._all.append(self._subscribe(Path, "trajectory", trajectory, reliable(1)))
        self._open_image("image", parameters.image_transport)
        self._open_info("camera_info", ingest.colour_info)
        if parameters.depth_mode == "stereo":
            self._open_image("right_image", parameters.image_transport)
            self._open_info("right_camera_info", ingest.depth_info)
        elif parameters.depth_mode != "none":
            self._open_image("depth", parameters.depth_transport)
            self._open_info("depth_camera_info", ingest.depth_info)

    def close(self) -> None:
        """End every subscription."""
        for subscription in [*self._all, *(s for some in self._images.values() for s in some)]:
            self._node.destroy_subscription(subscription)
        self._all.clear()
        for some in self._images.values():
            some.clear()

    def _open_image(self, name: str, transport: str) -> None:
        raw, compressed = image_topics(self._node, name)
        wanted: list[tuple[Any, str, Kind]] = []
        if transport != "compressed":
            wanted.append((Image, raw, "Image"))
        if transport != "raw":
            wanted.append((CompressedImage, compressed, "CompressedImage"))
        self.topics[name.replace("right_image", "depth")] = " or ".join(topic for _, topic, _ in wanted)
        for message, topic, kind in wanted:
            callback = partial(self._image, name, topic, kind)
            self._images[name].append(self._subscribe(message, topic, callback, self._qos, raw=True))

    def _image(self, name: str, topic: str, kind: Kind, payload: bytes) -> None:
        """Take an image; the first to come settles the transport, the other subscription ends."""
        for other in [s for s in self._images[name] if s.topic_name != topic]:
            self._images[name].remove(other)
            self._node.destroy_subscription(other)
        take = self._ingest.colour if name == "image" else self._ingest.depth
        take(kind, payload)

    def _open_info(self, name: str, take: Callable[[bytes], None]) -> None:
        self.topics[name.replace("right", "depth")] = self._node.resolve_topic_name(name)
        self._all.append(self._subscribe(CameraInfo, name, take, self._qos, raw=True))

    def _subscribe(
        self,
        message: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        raw: bool = False,
    ) -> Any:  # noqa: ANN401
        events = SubscriptionEventCallbacks(incompatible_qos=partial(self._incompatible, topic))
        return self._node.create_subscription(
            message, topic, callback, qos, raw=raw, event_callbacks=events
        )

    def _incompatible(self, topic: str, event: Any) -> None:  # noqa: ANN401
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        self._node.get_logger().warning(
            f"a publisher of {self._node.resolve_topic_name(topic)} offers an incompatible {policy}: "
            "nothing comes from it; set the parameter input_qos to best_effort, or change the publisher"
        )
