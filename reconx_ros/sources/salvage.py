"""Recordings without a usable index: read from the beginning as far as they go.

A recorder that was killed, a full disk and a broken copy leave such files. The scanners of each
format (``scan_mcap``, ``scan_ros1``, ``scan_db3``) yield messages and raise ``BrokenError`` where
the file stops making sense.
"""

import bz2
import struct
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd

from reconx_ros.errors import SourceError
from reconx_ros.sources.messages import RawMessage

Batch = list[RawMessage]
Scan = Callable[[Path], Iterator[Batch]]


class BrokenError(SourceError):
    """The file does not go on sensibly from here; the message says where and why."""


class SalvagedRecording:
    """What a sequential scan finds; a ``Recording``.

    Args:
        path: the file.
        scan: yields its messages in batches of one chunk.

    Raises:
        SourceError: there is not one whole message in the file.
    """

    def __init__(self, path: Path, scan: Scan) -> None:
        self.damage = ""
        self._path, self._scan = path, scan
        self._topics: dict[str, str] = {}
        for message in self._all():
            self._topics[message.topic] = message.msgtype
        if not self._topics:
            raise SourceError(f"{path} holds no message{self.damage and ': ' + self.damage}")

    @property
    def topics(self) -> dict[str, str]:
        """Message type of each topic."""
        return self._topics

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of these topics, up to the damage; in order of time within a chunk."""
        return (message for message in self._all() if message.topic in topics)

    def _all(self) -> Iterator[RawMessage]:
        count = 0
        try:
            for batch in self._scan(self._path):
                for message in sorted(batch, key=lambda message: message.log_ns):
                    yield message
                    count += 1
        except BrokenError as err:
            self.damage = f"{self._path.name} is damaged after {count} messages ({err})"

    def close(self) -> None:
        """Nothing stays open between two scans."""


class Fields:
    """Reads little-endian fields from bytes; ``BrokenError`` where they end."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Return integers of a ``struct`` layout without byte order."""
        size = struct.calcsize("<" + layout)
        return struct.unpack("<" + layout, self.bytes(size))

    def bytes(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        if size > self.left:
            raise BrokenError("a record is cut")
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        """Return a string with its length before it."""
        return self.bytes(self.numbers("I")[0]).decode(errors="replace")


def inflate(data: bytes, compression: str) -> tuple[bytes, bool]:
    """Return as much as can be decompressed of (the beginning of) a stream, and whether it is whole.

    Args:
        data: compressed bytes.
        compression: ``zstd``, ``lz4``, ``bz2``, or empty or ``none``.

    Raises:
        BrokenError: the compression is unknown.
    """
    if compression in ("", "none"):
        return data, True
    makers = {
        "zstd": zstd.ZstdDecompressor,
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "bz2": bz2.BZ2Decompressor,
    }
    if compression not in makers:
        raise BrokenError(f"compression '{compression}' is unknown")
    decompressor, out, block = makers[compression](), bytearray(), 1 << 16
    try:
        for at in range(0, len(data), block):
            out += decompressor.decompress(data[at : at + block])
            if decompressor.eof:
                break
    except (zstd.ZstdError, RuntimeError, OSError, EOFError, ValueError):
        return bytes(out), False
    return bytes(out), bool(decompressor.eof)
