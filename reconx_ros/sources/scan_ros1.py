"""ROS 1 bags (format 2.0) read record by record, for files without an index."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from reconx_ros.sources.messages import RawMessage, normal_type
from reconx_ros.sources.salvage import Batch, BrokenError, Fields, inflate

MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, BAG_HEADER, CHUNK, CONNECTION = 2, 3, 5, 7

Header = dict[str, bytes]
Connections = dict[int, tuple[str, str]]


def scan_ros1(path: Path) -> Iterator[Batch]:
    """Yield the messages of a ROS 1 bag, one batch a chunk, up to its index.

    Raises:
        BrokenError: the bag is cut or was never closed; all before it was yielded.
    """
    connections: Connections = {}
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BrokenError("it does not begin as a ROS 1 bag of format 2.0")
        indexed, size = False, path.stat().st_size
        while file.tell() < size:
            start = file.tell()
            try:
                header, data, whole = _next_record(file, size)
                if _op(header) == BAG_HEADER:
                    indexed = int.from_bytes(header.get("index_pos", b""), "little") > 0
                yield from _messages(header, data, whole, connections)
            except BrokenError as err:
                raise BrokenError(f"at byte {start}: {err}") from err
        if not indexed:
            raise BrokenError("it was never closed and has no index")


def _next_record(file: BinaryIO, size: int) -> tuple[Header, bytes, bool]:
    """Return header and data of the next record, and whether the data is whole."""
    header = _header(_sized(file, size))
    length = int.from_bytes(_exactly(file, 4), "little")
    data = file.read(min(length, size))
    return header, data, len(data) == length


def _sized(file: BinaryIO, size: int) -> bytes:
    length = int.from_bytes(_exactly(file, 4), "little")
    return _exactly(file, min(length, size + 1))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise BrokenError("a record is cut")
    return data


def _header(data: bytes) -> Header:
    fields, header = Fields(data), Header()
    while fields.left:
        name, found, value = fields.bytes(fields.numbers("I")[0]).partition(b"=")
        if not found:
            raise BrokenError("a record has a damaged header")
        header[name.decode(errors="replace")] = value
    return header


def _op(header: Header) -> int:
    return int.from_bytes(header.get("op", b""), "little")


def _messages(header: Header, data: bytes, whole: bool, connections: Connections) -> Iterator[Batch]:
    """Yield the batch of a chunk, or of a message outside chunks."""
    if _op(header) != CHUNK:
        batch = Batch()
        if whole:
            _record(header, data, connections, batch)
        yield batch
    else:
        compression = header.get("compression", b"").decode(errors="replace")
        inflated, complete = inflate(data, compression)
        batch, cut = _chunk(inflated, connections)
        yield batch
        whole = whole and complete and not cut
    if not whole:
        raise BrokenError("a record is cut")


def _chunk(data: bytes, connections: Connections) -> tuple[Batch, bool]:
    """Return the messages of a chunk's data, and whether it breaks off within a record."""
    fields, batch = Fields(data), Batch()
    try:
        while fields.left:
            header = _header(fields.bytes(fields.numbers("I")[0]))
            _record(header, fields.bytes(fields.numbers("I")[0]), connections, batch)
    except BrokenError:
        return batch, True
    return batch, False


def _record(header: Header, data: bytes, connections: Connections, batch: Batch) -> None:
    """Learn a connection, or append a message to ``batch``."""
    key = int.from_bytes(header.get("conn", b""), "little")
    if _op(header) == CONNECTION:
        kind = _header(data).get("type", b"").decode(errors="replace")
        topic = header.get("topic", b"").decode(errors="replace")
        connections[key] = ("/" + topic.strip("/"), normal_type(kind))
    elif _op(header) == MESSAGE:
        if key not in connections or len(header.get("time", b"")) != 8:
            raise BrokenError("a message has a damaged header")
        seconds, nanoseconds = Fields(header["time"]).numbers("II")
        topic, kind = connections[key]
        batch.append(RawMessage(topic, kind, seconds * 10**9 + nanoseconds, "ros1", data))
