"""What the lines of a journal come to: the map that was loaded, and what was done to it since, in order."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.ros.journal_disk import JournalDisk
from reconx_ros.ros.journal_entries import (
    ClearBoxLine,
    CorrectLine,
    DamagedLineError,
    DiedLine,
    Entry,
    KeyframeLine,
    Lasting,
    LoadingLine,
    LoadLine,
    corrected,
    newest_poses,
    read_line,
    without,
)


class JournalLines:
    """The lines that still count, in memory and on disk.

    Args:
        disk: takes them; without one only a ``Load`` is noted, for keyframes are elsewhere.

    Attributes:
        base: folder of the saved map that the entries come on top of, ``None`` without one.
        entries: in order; a change puts a new list in place or adds at its end, so that others may read.
        deaths: workers that died of each keyframe.
    """

    def __init__(self, disk: JournalDisk | None) -> None:
        self._disk = disk
        self._surplus = 0  # poses on disk that newer ones have replaced
        self.base: Path | None = None
        self.entries: list[Entry] = []
        self.deaths: Counter[str] = Counter()

    @property
    def names(self) -> set[str]:
        """Names of the keyframes."""
        return {entry.name for entry in self.entries if isinstance(entry, KeyframeLine)}

    @property
    def keyframes(self) -> list[KeyframeLine]:
        """The keyframes where they are now, in order."""
        return newest_poses(self.entries)

    def take_up(self, lines: Sequence[bytes]) -> int:
        """Take up the lines of an earlier run, a keyframe once; return how many could not be read."""
        known: set[str] = set()
        return sum(not self._take_up(line, known) for line in lines)

    def append(self, entry: KeyframeLine | ClearBoxLine) -> None:
        """Add a line, where there is a disk."""
        if self._disk is not None:
            self.entries.append(entry)
            self._to_disk(entry)

    def correct(self, poses: Mapping[str, NDArray[np.float64]]) -> None:
        """Let keyframes be at new poses; on disk once more, until much there is of no use.

        Args:
            poses: [4, 4] world_from_camera by name.
        """
        self.entries = corrected(self.entries, poses)
        self._surplus += len(poses)
        if self._surplus > 100 + 2 * len(self.entries):
            self.rewrite()
        else:
            self._to_disk(CorrectLine.of(poses))

    def release(self, names: Collection[str]) -> None:
        """Forget keyframes, and their files."""
        kept = self._without(names)
        if len(kept) < len(self.entries):
            self.entries = kept
            self.rewrite(names)

    def died(self, name: str) -> None:
        """Note that a worker died while it added a keyframe."""
        self.deaths[name] += 1
        self._to_disk(DiedLine(name=name))

    def leave_out(self, name: str) -> None:
        """Forget a keyframe; its file is put aside."""
        on_disk = name in self.names
        self.deaths.pop(name, None)
        self.entries = self._without({name})
        if self._disk is not None and on_disk:
            self._disk.leave_out(name)
            self.rewrite()

    def loading(self, request: int, held: frozenset[str]) -> None:
        """Note where a ``Load`` stands, and which keyframes were in memory only at that time."""
        self.entries.append(LoadingLine(request=request, held=held))

    def loaded(self, request: int, folder: Path) -> frozenset[str]:
        """Let the map saved in ``folder`` take the place of what came before its ``Load``.

        Return the names of keyframes that were in memory only before it; of a ``Load`` that is not noted
        (any more) none.
        """
        at = self._find(request)
        if at is None:
            return frozenset()
        gone, mark = self.entries[:at], self.entries[at]
        assert isinstance(mark, LoadingLine)
        self.entries = self.entries[at + 1 :]
        self.base = folder
        self.rewrite([entry.name for entry in gone if isinstance(entry, KeyframeLine)])
        return mark.held

    def not_loaded(self, request: int) -> None:
        """Forget a ``Load``: the map is what it was."""
        at = self._find(request)
        if at is not None:
            del self.entries[at]

    def clear(self, left_out: Collection[str]) -> None:
        """Forget everything, and the files of keyframes that were ``left_out`` too."""
        gone = [*self.names, *left_out]
        self.base, self.entries = None, []
        self.deaths.clear()
        self.rewrite(gone)

    def rewrite(self, gone: Iterable[str] = ()) -> None:
        """Write all lines anew, and remove the files of keyframes that are ``gone``."""
        if self._disk is not None:
            self._surplus = 0
            head: list[Lasting] = [] if self.base is None else [LoadLine(folder=str(self.base))]
            body = [entry for entry in self.entries if not isinstance(entry, LoadingLine)]
            deaths = (DiedLine(name=name) for name in self.deaths.elements())
            self._disk.rewrite([*head, *body, *deaths], gone)

    def _to_disk(self, line: Lasting) -> None:
        if self._disk is not None:
            if self._disk.stale:
                self.rewrite()
            else:
                self._disk.append(line)

    def _without(self, names: Collection[str]) -> list[Entry]:
        return [shorter for entry in self.entries if (shorter := without(entry, names)) is not None]

    def _find(self, request: int) -> int | None:
        """Return where among the entries a ``Load`` that is not answered yet stands."""
        found = (
            i for i, e in enumerate(self.entries) if isinstance(e, LoadingLine) and e.request == request
        )
        return next(found, None)

    def _take_up(self, line: bytes, known: set[str]) -> bool:
        try:
            entry = read_line(line)
        except DamagedLineError:
            return False
        if isinstance(entry, LoadLine):
            self.base = Path(entry.folder)
        elif isinstance(entry, DiedLine):
            self.deaths[entry.name] += 1
        elif isinstance(entry, CorrectLine):
            self.entries = corrected(self.entries, entry.moved)
        elif not isinstance(entry, KeyframeLine):
            self.entries.append(entry)
        elif entry.name not in known:
            known.add(entry.name)
            self.entries.append(entry)
        return True
