"""A recording as a stream of messages, whatever its format and however badly it ends."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from reconx_ros.errors import SourceError
from reconx_ros.sources.messages import RawMessage, Wire, normal_type


class Recording(Protocol):
    """Messages in order of recording.

    Attributes:
        topics: message type of each topic.
        damage: one line on where the file broke, known once that place was reached; else empty.
    """

    damage: str

    @property
    def topics(self) -> Mapping[str, str]:
        """Message type of each topic."""

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of these topics, up to the end or the damage."""

    def close(self) -> None:
        """Close the files."""


class IndexedRecording:
    """An intact recording, read by rosbags.

    Raises:
        Exception: whatever rosbags raises where the file is damaged; the caller tries to salvage.
    """

    def __init__(self, path: Path) -> None:
        self.damage = ""
        self._path = path
        self._reader = Ros1Reader(path) if path.suffix == ".bag" else Ros2Reader(path)
        self._wire: Wire = "ros1" if path.suffix == ".bag" else "cdr"
        self._reader.open()

    @property
    def topics(self) -> dict[str, str]:
        """Message type of each topic that has messages."""
        return {c.topic: normal_type(c.msgtype) for c in self._reader.connections if c.msgcount}

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of these topics in order of time."""
        wanted = [c for c in self._reader.connections if c.topic in topics and c.msgcount]
        if not wanted:
            return
        count = 0
        try:
            for connection, log_ns, data in self._reader.messages(wanted):
                yield RawMessage(connection.topic, normal_type(connection.msgtype), log_ns, self._wire, bytes(data))
                count += 1
        except Exception as err:  # damage in the middle shows itself in many ways
            why = " ".join(str(err).split()) or type(err).__name__
            self.damage = f"{self._path.name} is damaged after {count} messages ({why})"

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
