"""MCAP read record by record (https://mcap.dev/spec), for files without footer or index."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from reconx_ros.sources.messages import RawMessage, normal_type
from reconx_ros.sources.salvage import Batch, BrokenError, Fields, inflate

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
WANTED = (SCHEMA, CHANNEL, MESSAGE, CHUNK)


def scan_mcap(path: Path) -> Iterator[Batch]:
    """Yield the messages of an MCAP file, one batch a chunk, up to its data's end.

    Raises:
        BrokenError: the data does not end as it should; all before it was yielded.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BrokenError("it does not begin as an MCAP file")
        reader = _Reader()
        size = path.stat().st_size
        while True:
            start = file.tell()
            opcode, content, whole = _next_record(file, size)
            if opcode in (FOOTER, DATA_END):
                return
            yield from _guarded(reader.take(opcode, content, whole), start)
            if not whole:
                raise BrokenError(f"a record at byte {start} is cut")


def _next_record(file: BinaryIO, size: int) -> tuple[int, bytes, bool]:
    """Return the opcode, the content as far as there is one, and whether it is whole."""
    start = file.tell()
    head = file.read(9)
    if len(head) < 9:
        raise BrokenError(f"it ends at byte {start} without a footer")
    opcode, length = head[0], int.from_bytes(head[1:], "little")
    end = start + 9 + length
    if opcode in WANTED:
        content = file.read(min(length, size))
    else:
        content = b""
        file.seek(min(end, size))
    return opcode, content, end <= size


def _guarded(batches: Iterator[Batch], start: int) -> Iterator[Batch]:
    """Pass batches on; say where it broke."""
    try:
        yield from batches
    except BrokenError as err:
        raise BrokenError(f"at byte {start}: {err}") from err


class _Reader:
    """Knows the schemas and channels seen so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str, str]] = {}

    def take(self, opcode: int, content: bytes, whole: bool) -> Iterator[Batch]:
        """Yield the batch of a chunk or a message outside chunks."""
        if opcode == CHUNK:
            yield from self._chunk(content, whole)
        elif whole:
            message = self._record(opcode, Fields(content))
            if message is not None:
                yield [message]

    def _chunk(self, content: bytes, whole: bool) -> Iterator[Batch]:
        fields = Fields(content)
        *_, size, checksum = fields.numbers("QQQI")
        compression = fields.text()
        (stored,) = fields.numbers("Q")
        data, inflated = inflate(fields.bytes(min(stored, fields.left)), compression)
        good = len(data) == size and (not checksum or crc32(data) == checksum)
        if whole and inflated and not good:
            raise BrokenError("a chunk does not match its checksum or size")
        batch, cut = self._records(data)
        yield batch
        if cut or (whole and not inflated):
            raise BrokenError("a chunk is cut")

    def _records(self, data: bytes) -> tuple[Batch, bool]:
        """Return the messages in a chunk's data, and whether it breaks off within a record."""
        fields, batch = Fields(data), Batch()
        try:
            while fields.left:
                opcode, length = fields.numbers("BQ")
                message = self._record(opcode, Fields(fields.bytes(length)))
                if message is not None:
                    batch.append(message)
        except BrokenError:
            return batch, True
        return batch, False

    def _record(self, opcode: int, fields: Fields) -> RawMessage | None:
        if opcode == SCHEMA:
            (key,) = fields.numbers("H")
            self._schemas[key] = fields.text()
        elif opcode == CHANNEL:
            key, schema = fields.numbers("HH")
            self._channels[key] = (fields.text(), self._schemas.get(schema, ""), fields.text())
        elif opcode == MESSAGE:
            key, _, log_ns, _ = fields.numbers("HIQQ")
            if key not in self._channels:
                raise BrokenError(f"a message of channel {key}, which was never declared")
            topic, schema_name, encoding = self._channels[key]
            wire = "ros1" if encoding == "ros1" else "cdr"
            return RawMessage(topic, normal_type(schema_name), log_ns, wire, fields.bytes(fields.left))  # type: ignore[arg-type]
        return None
