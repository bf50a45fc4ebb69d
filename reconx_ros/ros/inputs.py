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

from reconx_ros.errors import SourceError
from reconx_ros.ros.envelope import Kind
from reconx_ros.ros.guard import MessageGuard, unpack
from reconx_ros.ros.ingest import Ingest
from reconx_ros.ros.ingest_group import IngestGroup
from reconx_ros.ros.parameters import CameraParameters, Parameters
from reconx_ros.ros.pose_source import LivePoses
from reconx_ros.ros.qos import input_qos, latched, reliable
from reconx_ros.sources.topics import base_topic

COMPRESSED = {"image": "compressed", "depth": "compressedDepth", "right_image": "compressed"}
"""What image_transport appends to a topic for its compressed form."""


def image_topics(node: Node, name: str, camera: str = "") -> tuple[str, str]:
    """Return the raw and the compressed topic of the input ``name`` after remapping.

    A remapping of ``image/compressed`` itself counts; else the compressed topic lies under the
    remapped ``image``, as with image_transport, also where that is the compressed topic itself. Inputs
    of a camera with a name lie under that.
    """
    whole, suffix = _under(camera, name), COMPRESSED[name]
    raw = node.resolve_topic_name(whole)
    if raw != base_topic(raw):
        return base_topic(raw), raw
    own = node.resolve_topic_name(f"{whole}/{suffix}")
    if own == node.resolve_topic_name(f"{whole}/{suffix}", only_expand=True):
        return raw, f"{raw}/{suffix}"
    remapped = raw != node.resolve_topic_name(whole, only_expand=True)
    return raw if remapped else base_topic(own), own


def _under(camera: str, name: str) -> str:
    return f"{camera}/{name}" if camera else name


class Inputs:
    """Every subscription; they exist while the node is active.

    Args:
        node: that subscribes.
        parameters: transports, reliability.
        cameras: take images and camera_info.
        poses: takes transforms and odometry.
        guard: stands between every subscription and who takes its messages.
        trajectory: takes the path that SLAM has optimised.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        cameras: IngestGroup,
        poses: LivePoses,
        guard: MessageGuard,
        trajectory: Callable[[Any], str] | None = None,
    ) -> None:
        self._node, self._guard = node, guard
        self._qos = input_qos(parameters.input_qos)
        self._images: dict[str, list[Any]] = {}
        self.topics: dict[str, str] = {}
        self._all = [
            self._open(TFMessage, "/tf", partial(poses.add_transforms, static=False), reliable(100)),
            self._open(TFMessage, "/tf_static", partial(poses.add_transforms, static=True), latched(100)),
            self._open(Odometry, "odom", poses.add_odometry, input_qos("best_effort")),
        ]
        if trajectory is not None:
            self._all.append(self._open(Path, "trajectory", trajectory, reliable(1)))
        for camera, ingest in cameras.cameras.items():
            self._open_camera(camera, ingest, parameters.of_camera(camera))

    def _open_camera(self, camera: str, ingest: Ingest, parameters: CameraParameters) -> None:
        self._open_image(camera, "image", parameters.image_transport, ingest.colour)
        self._open_info(camera, "camera_info", ingest.colour_info)
        if parameters.depth_mode == "stereo":
            self._open_image(camera, "right_image", parameters.image_transport, ingest.depth)
            self._open_info(camera, "right_camera_info", ingest.depth_info)
        elif parameters.depth_mode != "none":
            self._open_image(camera, "depth", parameters.depth_transport, ingest.depth)
            self._open_info(camera, "depth_camera_info", ingest.depth_info)

    def close(self) -> None:
        """End every subscription."""
        for subscription in [*self._all, *(s for some in self._images.values() for s in some)]:
            self._node.destroy_subscription(subscription)
        self._all.clear()
        for some in self._images.values():
            some.clear()

    def _open_image(
        self, camera: str, name: str, transport: str, take: Callable[[Kind, bytes], None]
    ) -> None:
        raw, compressed = image_topics(self._node, name, camera)
        wanted: list[tuple[Any, str, Kind]] = []
        if transport != "compressed":
            wanted.append((Image, raw, "Image"))
        if transport != "raw":
            wanted.append((CompressedImage, compressed, "CompressedImage"))
        kind_of = _under(camera, name.replace("right_image", "depth"))
        self.topics[kind_of] = " or ".join(topic for _, topic, _ in wanted)
        self._images[kind_of] = []
        for message, topic, kind in wanted:
            callback = partial(self._image, kind_of, topic, kind, take)
            self._images[kind_of].append(self._subscribe(message, topic, callback, self._qos))

    def _image(
        self, name: str, topic: str, kind: Kind, take: Callable[[Kind, bytes], None], payload: bytes
    ) -> None:
        """Take an image; the first to come settles the transport, the other subscription ends."""
        for other in [s for s in self._images[name] if s.topic_name != topic]:
            self._images[name].remove(other)
            self._node.destroy_subscription(other)
        take(kind, payload)

    def _open_info(self, camera: str, name: str, take: Callable[[bytes], None]) -> None:
        whole = _under(camera, name)
        self.topics[_under(camera, name.replace("right", "depth"))] = self._node.resolve_topic_name(whole)
        self._all.append(self._subscribe(CameraInfo, whole, take, self._qos))

    def _open(self, message: type[Any], topic: str, take: Callable[[Any], str], qos: QoSProfile) -> Any:  # noqa: ANN401
        """Subscribe to messages; ``take`` returns a line about what of one cannot be used."""

        def take_payload(payload: bytes) -> None:
            if refused := take(unpack(message, payload)):
                raise SourceError(refused)

        return self._subscribe(message, topic, take_payload, qos)

    def _subscribe(
        self, message: type[Any], topic: str, take: Callable[[bytes], None], qos: QoSProfile
    ) -> Any:  # noqa: ANN401
        """Subscribe to serialised messages: those that cannot be unpacked would else vanish unsaid."""
        callback = self._guard.around(self._node.resolve_topic_name(topic), take)
        events = SubscriptionEventCallbacks(incompatible_qos=partial(self._incompatible, topic, qos))
        return self._node.create_subscription(
            message, topic, callback, qos, raw=True, event_callbacks=events
        )

    def _incompatible(self, topic: str, qos: QoSProfile, event: Any) -> None:  # noqa: ANN401
        """Say that a publisher is not joined, and what would help: ``input_qos`` is of images alone."""
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        whole = self._node.resolve_topic_name(topic)
        line = f"a publisher of {whole} offers an incompatible {policy}: nothing comes from it"
        cure = "change the publisher"
        if qos is self._qos and policy == "reliability":
            cure = f"set the parameter input_qos to best_effort, or {cure}"
        self._node.get_logger().warning(f"{line}; {cure}")
