"""One node a folder: two that share one would take each other's journal and submaps for their own."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TextIO

from reconx_ros.errors import ConfigError

NAME = ".lock"


class FolderLock:
    """Holds a folder until ``release``, or until this process ends in whatever way.

    Args:
        folder: to hold; it is made where it does not exist. One that cannot be written, or is on a
            file system without locks, is not held.

    Raises:
        ConfigError: another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._stream: TextIO | None = None
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = self._held()
        if self._stream is not None:
            self._stream.truncate(0)
            self._stream.write(str(os.getpid()))
            self._stream.flush()

    def release(self) -> None:
        """Let others have the folder."""
        if self._stream is not None:
            self._file.unlink(missing_ok=True)
            self._stream.close()
            self._stream = None

    def _held(self) -> TextIO:
        """Return the file, locked, and still the one of that name."""
        while True:
            stream = self._file.open("a+")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as err:
                with stream:
                    stream.seek(0)
                    holder = stream.read().strip() or "another one"
                raise ConfigError(
                    f"output folder {self._file.parent} is in use by process {holder}; "
                    "give each node an output of its own"
                ) from err
            except OSError:
                stream.close()
                raise
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(stream.fileno()).st_ino == self._file.stat().st_ino:
                    return stream
            stream.close()  # whoever held it has just removed it
