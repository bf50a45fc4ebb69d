"""Looks for inputs that bring nothing, and for what could be used in their place."""

from collections.abc import Mapping

from rclpy.node import Node

from reconx_ros.ros.complaints import Complaints
from reconx_ros.ros.ingest_group import IngestGroup
from reconx_ros.ros.parameters import Parameters
from reconx_ros.ros.silence import SilenceWatch, silence_line

_TYPES = {
    "image": ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
    "depth": ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
    "camera_info": ("sensor_msgs/msg/CameraInfo",),
}


class InputWatch:
    """Watches the inputs while the node is active.

    Args:
        node: knows who publishes what.
        parameters: say which inputs are needed.
        topics: of every input, by its name.
        ingest: counts what comes in; nothing is missed while it is paused.
        complaints: say what is missing.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        topics: Mapping[str, str],
        ingest: IngestGroup,
        complaints: Complaints,
    ) -> None:
        self._node, self._parameters, self._topics = node, parameters, topics
        self._ingest, self._complaints = ingest, complaints
        self._watch = SilenceWatch(_needed(parameters))

    def silent(self) -> list[str]:
        """Return the needed inputs that bring nothing now."""
        return [] if self._ingest.paused else self._watch.silent(self._ingest.received)

    def check(self) -> None:
        """Say which inputs are missing, where that is news; once a second."""
        received = self._ingest.received
        silent = [] if self._ingest.paused else self._watch.news(received)
        if silent:
            mode = (
                f"depth {self._parameters.depth_mode}, matched by stamp within {self._parameters.slop:g} s"
            )
            line = silence_line(silent, self._topics, received, mode, self._available())
            line += self._misfits(silent)
            if self._complaints.say("silence", line):
                self._watch.told(silent)

    def _available(self) -> dict[str, list[str]]:
        """Return the topics that somebody else publishes, by the input they could serve."""
        mine = self._node.get_fully_qualified_name() + "/"
        names = (name for name, _ in self._node.get_topic_names_and_types() if not name.startswith(mine))
        topics = {name: self._published(name) for name in names}
        return {
            kind: sorted(name for name, found in topics.items() if found & set(types))
            for kind, types in _TYPES.items()
        }

    def _misfits(self, silent: list[str]) -> str:
        """Return what is published on the topics of silent inputs, but as something else."""
        found = [
            f"; {topic} is published as {kind}"
            for name in silent
            for topic in filter(None, self._topics.get(name, "").split(" or "))
            for kind in sorted(self._published(topic) - set(_TYPES[name.rpartition("/")[2]]))
        ]
        return "".join(found)

    def _published(self, topic: str) -> set[str]:
        """Return the types that somebody publishes on a topic; our own subscription is not asked."""
        return {str(one.topic_type) for one in self._node.get_publishers_info_by_topic(topic)}


def _needed(parameters: Parameters) -> tuple[str, ...]:
    """Return the inputs without which nothing is mapped."""
    return tuple(
        f"{camera}/{kind}" if camera else kind
        for camera in parameters.camera_names
        for kind in ("image", "camera_info", "depth")
        if kind != "depth" or parameters.of_camera(camera).depth_mode in ("required", "stereo")
    )
