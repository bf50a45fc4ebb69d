"""A recording as a stream of messages, whatever its format and however badly it ends."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import yaml
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from reconx_ros.errors import SourceError
from reconx_ros.sources.messages import RawMessage, Wire, normal_type
from reconx_ros.sources.salvage import SalvagedRecording, Scan
from reconx_ros.sources.scan_db3 import has_log, scan_db3
from reconx_ros.sources.scan_mcap import scan_mcap
from reconx_ros.sources.scan_ros1 import scan_ros1

SCANS: Mapping[str, Scan] = {".mcap": scan_mcap, ".db3": scan_db3, ".bag": scan_ros1}
"""The formats read, by the ending of the file's name."""


class Recording(Protocol):
    """Messages in order of recording."""

    @property
    def damage(self) -> str:
        """One line on where the file broke, known once that place was reached; else empty."""

    @property
    def topics(self) -> Mapping[str, str]:
        """Message type of each topic that has messages."""

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of these topics, up to the end or the damage."""

    def close(self) -> None:
        """Close the files."""


def open_recording(path: Path) -> Recording:
    """Open a rosbag2 folder (with metadata.yaml or not), .mcap, .db3 or ROS 1 .bag.

    Raises:
        SourceError: there is not one message in it.
    """
    if path.is_file():
        return _open_file(path)
    try:
        return IndexedRecording(path)
    except Exception as err:  # no metadata.yaml, or one that does not fit: read the files as they are
        return _open_files(path, " ".join(str(err).split()))


def _open_file(path: Path) -> Recording:
    if path.suffix == ".db3" and has_log(path):
        return SalvagedRecording(path, scan_db3)
    try:
        return IndexedRecording(path)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except Exception:  # rosbags needs an intact index; the scan tells what is wrong, if anything is
        return SalvagedRecording(path, SCANS[path.suffix])


def _open_files(folder: Path, why: str) -> Recording:
    """Open the files of a recording that was split, in order."""
    parts: list[Recording] = []
    listed = _listed_files(folder)
    paths = listed or sorted((p for p in folder.iterdir() if p.suffix in SCANS), key=_natural)
    damages = []
    for path in paths:
        try:
            parts.append(_open_file(path))
        except SourceError as err:  # noqa: PERF203  a split recording has few files
            damages.append(str(err))
    if not parts:
        raise SourceError(damages[0] if damages else f"{folder} cannot be read as a recording: {why}")
    return ChainedRecording(parts, damages)


def _listed_files(folder: Path) -> list[Path]:
    """Return the files metadata.yaml lists, empty where there is none or it is damaged."""
    try:
        content = yaml.safe_load((folder / "metadata.yaml").read_text())
        names = content["rosbag2_bagfile_information"]["relative_file_paths"]
        paths = [folder / Path(name).name for name in names]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return []
    return paths if all(path.suffix in SCANS for path in paths) else []


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts bag_10 behind bag_9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


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
                kind = normal_type(connection.msgtype)
                yield RawMessage(connection.topic, kind, log_ns, self._wire, bytes(data))
                count += 1
        except Exception as err:  # damage in the middle shows itself in many ways
            why = " ".join(str(err).split()) or type(err).__name__
            self.damage = f"{self._path.name} is damaged after {count} messages ({why})"

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class ChainedRecording:
    """The files of a split recording, one after the other.

    Args:
        parts: in order of time.
        damages: what is known to be missing already.
    """

    def __init__(self, parts: Sequence[Recording], damages: Sequence[str] = ()) -> None:
        self._parts = parts
        self._missing = list(damages)

    @property
    def damage(self) -> str:
        """One line on what is missing of the whole."""
        return "; ".join([*self._missing, *(part.damage for part in self._parts if part.damage)])

    @property
    def topics(self) -> dict[str, str]:
        """Message type of each topic that has messages."""
        return {topic: kind for part in self._parts for topic, kind in part.topics.items()}

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of these topics, file by file."""
        for part in self._parts:
            yield from part.messages(topics)

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.close()
