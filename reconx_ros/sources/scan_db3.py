"""SQLite bags read row by row, for files that are cut or have an unfinished write-ahead log."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import apsw

from reconx_ros.sources.messages import RawMessage, normal_type
from reconx_ros.sources.salvage import Batch, BrokenError

VFS_NAME = "reconx_cut_file"


def has_log(path: Path) -> bool:
    """Return whether messages wait in a write-ahead log beside the file (the recorder was killed)."""
    log = path.with_name(path.name + "-wal")
    return log.is_file() and log.stat().st_size > 0


def scan_db3(path: Path) -> Iterator[Batch]:
    """Yield the messages of a .db3 in order of writing.

    Raises:
        BrokenError: SQLite finds the file damaged; all rows before it were yielded.
    """
    try:
        with closing(_connect(path)) as database:
            topics = {
                key: (name, normal_type(kind))
                for key, name, kind in database.execute("SELECT id, name, type FROM topics")
                if isinstance(name, str) and isinstance(kind, str)
            }
            for key, log_ns, data in database.execute(
                "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
            ):
                if key in topics and isinstance(log_ns, int) and isinstance(data, bytes):
                    yield [RawMessage(*topics[key], log_ns, "cdr", data)]
    except (apsw.Error, ValueError) as err:
        raise BrokenError(" ".join(str(err).split())) from err


def _connect(path: Path) -> apsw.Connection:
    """Open read-only; as immutable (no lock, no side file) unless there is a log to read."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    if has_log(path):
        return apsw.Connection(uri, flags)
    if VFS_NAME not in apsw.vfs_names():
        _kept.append(_CutFileSystem())
    return apsw.Connection(f"{uri}&immutable=1", flags, vfs=VFS_NAME)


class _CutFile(apsw.VFSFile):
    """A file that may be cut: as long as its header says, with an error where there is nothing.

    SQLite itself refuses such a file, or takes the missing bytes as zeros.
    """

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  SQLite's name
        data = super().xRead(amount, offset)
        if len(data) < amount:
            raise apsw.IOError(f"the file ends before byte {offset + amount}")
        return data

    def xFileSize(self) -> int:  # noqa: N802
        size = super().xFileSize()
        if size < 100:
            return size
        header = super().xRead(100, 0)
        page = int.from_bytes(header[16:18], "big")
        return max(size, (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big"))


class _CutFileSystem(apsw.VFS):
    """Opens every file as a ``_CutFile``."""

    def __init__(self) -> None:
        super().__init__(VFS_NAME, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _CutFile:  # noqa: N802
        return _CutFile(name, flags)


_kept: list[_CutFileSystem] = []
"""SQLite knows the file system as long as the object lives."""
