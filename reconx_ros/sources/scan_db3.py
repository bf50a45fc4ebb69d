"""SQLite bags read row by row, for files that are cut or have an unfinished write-ahead log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from reconx_ros.sources.messages import RawMessage, normal_type
from reconx_ros.sources.salvage import Batch, BrokenError


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
            # Without it SQLite refuses a file that is shorter than its header says.
            database.execute("PRAGMA writable_schema=ON")
            topics = {
                key: (name, normal_type(kind))
                for key, name, kind in database.execute("SELECT id, name, type FROM topics")
            }
            rows = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            for key, log_ns, data in rows:
                if key in topics and isinstance(log_ns, int) and isinstance(data, bytes):
                    yield [RawMessage(*topics[key], log_ns, "cdr", data)]
    except (sqlite3.Error, OverflowError) as err:
        raise BrokenError(str(err)) from err


def _connect(path: Path) -> sqlite3.Connection:
    """Open read-only; as immutable (no lock, no side file) unless there is a log to read."""
    immutable = "" if has_log(path) else "&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro{immutable}", uri=True)
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection
