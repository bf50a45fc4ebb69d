"""The files of a journal. Keyframes are written by who has them; lines and removals in order, by a thread.

Whatever is written is forced to the disk, and the folder that names it too, so that a power cut takes
at most what was being written.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.ros.journal_entries import KeyframeLine, Lasting, write_line
from reconx_ros.ros.keyframe_message import unpack_keyframe
from reconx_ros.ros.link_commands import AddKeyframe

KEYFRAME, LEFT_OUT = ".keyframe", ".left_out"


@dataclass(frozen=True)
class Found:
    """What an earlier run left.

    Attributes:
        lines: of the journal.
        keyframes: names of those that have a file, in order of time.
        newer: those of them that were written after the last line.
        left_out: names of keyframes that were put aside.
        adding: the keyframe that was being added at the end.
    """

    lines: list[bytes]
    keyframes: list[str]
    newer: frozenset[str]
    left_out: list[str]
    adding: str | None


class JournalDisk:
    """The folder of a journal.

    Args:
        folder: it exists.
        complain: called with a line, in any thread, where the disk fails or a keyframe is damaged.

    Attributes:
        stale: whether the disk failed, so that the lines there are not what was to be written.
    """

    def __init__(self, folder: Path, complain: Callable[[str], object]) -> None:
        self.folder, self.stale = folder, False
        self._complain = complain
        self._lines, self._adding = folder / "journal.jsonl", folder / "adding"
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    def file(self, name: str) -> Path:
        """Return the file of a keyframe."""
        return self.folder / f"{name}{KEYFRAME}"

    def keep(self, name: str, packed: bytes) -> bool:
        """Write a keyframe, here and now; return whether it is safe, after a complaint where it is not."""
        try:
            write_whole(self.file(name), packed)
        except OSError as err:
            why = err.strerror or err
            self._complain(f"journal {self.folder}: {why}; keyframes are kept in memory only")
            return False
        return True

    def keyframe(self, line: KeyframeLine) -> AddKeyframe | None:
        """Return a keyframe where its line says it is; ``None``, after a complaint, if it is damaged."""
        file = self.file(line.name)
        try:
            keyframe, frame = unpack_keyframe(file.read_bytes())
        except (OSError, SourceError) as err:
            self._complain(f"{file} is left out: {err}")
            return None
        if line.pose is not None:
            keyframe = replace(keyframe, camera=keyframe.camera.moved(line.pose))
        return AddKeyframe(keyframe, frame, catching_up=True)

    def append(self, line: Lasting) -> None:
        """Add a line, after all that was asked for before."""
        self._submit(self._append, line)

    def rewrite(self, lines: Sequence[Lasting], gone: Iterable[str] = ()) -> None:
        """Write all lines anew, then remove the files of keyframes ``gone``; they stay where that fails."""
        self._submit(self._rewrite, tuple(lines), tuple(gone))

    def leave_out(self, name: str) -> None:
        """Put the file of a keyframe aside, for who wants to know what is wrong with it."""
        self._submit(self._leave_out, name)

    def adding(self, name: str | None) -> None:
        """Note which keyframe is being added, for a node that dies with its worker."""
        self._submit(self._note_adding, name)

    def flush(self) -> None:
        """Wait until all that was asked for is done."""
        with contextlib.suppress(RuntimeError):  # closed: it is
            self._pool.submit(lambda: None).result()

    def close(self, remove: bool = False) -> None:
        """Do what was asked for and end; ``remove`` the folder then."""
        self._pool.shutdown(wait=True)
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)

    def read(self) -> Found:
        """Return what is there, for the first thing that is done.

        Raises:
            OSError: the folder cannot be read.
        """
        for part in self.folder.glob("*.part"):  # of a file that was being written
            self._submit(part.unlink)
        lines = self._lines.read_bytes().splitlines() if self._lines.is_file() else []
        written = self._lines.stat().st_mtime_ns if self._lines.is_file() else 0
        times = {file.stem: file.stat().st_mtime_ns for file in self.folder.glob(f"*{KEYFRAME}")}
        left_out = sorted(file.stem for file in self.folder.glob(f"*{LEFT_OUT}"))
        adding = self._adding.read_text().strip() if self._adding.is_file() else ""
        names = sorted(times, key=lambda name: (times[name], name))
        newer = frozenset(name for name in names if times[name] > written)
        return Found([line for line in lines if line], names, newer, left_out, adding or None)

    def _append(self, line: Lasting) -> None:
        fresh = not self._lines.exists()
        with self._lines.open("a") as stream:
            stream.write("\n" if self.stale else "")  # the one before may have been cut
            stream.write(write_line(line))
            stream.flush()
            os.fsync(stream.fileno())
        if fresh:
            _sync_folder(self.folder)

    def _rewrite(self, lines: tuple[Lasting, ...], gone: tuple[str, ...]) -> None:
        write_whole(self._lines, "".join(map(write_line, lines)).encode())
        self.stale = False
        for name in gone:
            for ending in (KEYFRAME, LEFT_OUT):
                (self.folder / f"{name}{ending}").unlink(missing_ok=True)

    def _leave_out(self, name: str) -> None:
        self.file(name).rename(self.folder / f"{name}{LEFT_OUT}")
        _sync_folder(self.folder)

    def _note_adding(self, name: str | None) -> None:
        if name is None:
            self._adding.unlink(missing_ok=True)
        else:
            self._adding.write_text(name)

    def _submit(self, work: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # closed: nobody will read it
            self._pool.submit(self._attempt, work, *arguments)

    def _attempt(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except OSError as err:
            self.stale = True
            self._complain(f"journal {self.folder}: {err.strerror or err}")


def open_disk(folder: Path, complain: Callable[[str], object]) -> tuple[JournalDisk, Found] | None:
    """Return the folder of a journal and what is there, ``None`` where it cannot be made or read.

    That is not complained about here: the node says so of its output folder.
    """
    disk = JournalDisk(folder, complain)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return disk, disk.read()
    except OSError:
        disk.close()
        return None


def write_whole(file: Path, data: bytes) -> None:
    """Write a file whole: aside, forced to the disk, renamed, and the folder forced too.

    Raises:
        OSError: the disk fails; the file is what it was.
    """
    aside = file.with_name(f"{file.name}.part")
    try:
        with aside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
    except OSError:
        aside.unlink(missing_ok=True)  # a full disk is not to hold parts that nobody will use
        raise
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
