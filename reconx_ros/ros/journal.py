"""What makes up the map, on disk before it is in the map: a worker or node that starts anew reads it.

The folder holds a file a keyframe (``reconx_msgs/Keyframe``, serialised) and ``journal.jsonl``, a line a
command in order. A line is written after its keyframe is safe on disk, so that a kill or a power cut
leaves a journal in which what is written can be used. Of corrections only the newest pose of each keyframe
is kept.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from reconx_ros.ros.journal_disk import Found, JournalDisk, open_disk
from reconx_ros.ros.journal_entries import ClearBoxLine, CorrectLine, Entry, KeyframeLine
from reconx_ros.ros.journal_lines import JournalLines
from reconx_ros.ros.journal_memory import MemoryKeyframes
from reconx_ros.ros.journal_recovery import take_up
from reconx_ros.ros.keyframe_message import pack_keyframe
from reconx_ros.ros.link_commands import AddKeyframe, Begin, ClearBox, Command, Correct, Load, Pause, Reset

MOST_DEATHS = 2
"""Workers that may die while they add one keyframe; then it is left out."""

WHY_LEFT_OUT = "workers died while they added it"


class Journal:
    """Remembers the commands that make up the map.

    Calls come one at a time, but for ``write`` and ``fetch``, which wait for the disk: those may come
    from any thread. All else that is for the disk a thread of the journal's does, in order.

    Args:
        begin: how to map.
        folder: where; an unfinished journal there is taken up. Without one, or where it cannot be
            written, the most useful ``keyframes.capacity`` keyframes are kept in memory.
        complain: called with a line when the disk fails or the journal is damaged.

    Attributes:
        resumed: keyframes found of an unfinished run.
        left_out: names of keyframes that workers died of.
    """

    def __init__(
        self, begin: Begin, folder: Path | None = None, complain: Callable[[str], object] = print
    ) -> None:
        self._begin, self._complain = begin, complain
        opened = None if folder is None else open_disk(folder, complain)
        self._disk = None if opened is None else opened[0]
        self._lines = JournalLines(self._disk)
        self._memory = MemoryKeyframes(begin.config.keyframes.capacity)
        self._epoch, self._paused = 0, False
        self._written: dict[str, bool] = {}
        self._adding: str | None = None
        self._generation = 0
        self.left_out: list[str] = []
        if opened is not None:
            self._take_up(*opened)
        self.resumed = len(self)

    def __len__(self) -> int:
        """Return the number of keyframes remembered."""
        entries = tuple(self._lines.entries)
        return sum(isinstance(entry, KeyframeLine) for entry in entries) + len(self._memory)

    @property
    def holds(self) -> bool:
        """Whether there is anything that makes up a map."""
        return len(self) > 0 or self._lines.base is not None

    @property
    def on_disk(self) -> bool:
        """Whether keyframes go to disk, and not to memory, which holds only so many."""
        return self._disk is not None

    @property
    def next_number(self) -> int:
        """A number above those of all keyframes remembered, whose names end in numbers."""
        ends = (name.rpartition("_")[2] for name in [*self._lines.names, *self.left_out])
        return 1 + max((int(end) for end in ends if end.isdecimal()), default=-1)

    @property
    def keyframes(self) -> list[KeyframeLine]:
        """The keyframes on disk, where they are now, in order."""
        return self._lines.keyframes

    def write(self, command: AddKeyframe) -> None:
        """Write a keyframe that is noted next; where the disk fails it will be kept in memory."""
        name = command.keyframe.name
        if self._disk is not None:
            packed = pack_keyframe(command.keyframe, command.camera_frame)
            self._written[name] = self._disk.keep(name, packed)

    def note(self, command: Command) -> None:
        """Remember ``command`` where it changes the map; a keyframe that is not yet on disk is written.

        What a ``Load`` does is known when it is answered: ``loaded`` or ``not_loaded`` has to follow.
        """
        if isinstance(command, AddKeyframe):
            self._keep(command)
        elif isinstance(command, Reset):
            self._epoch = command.epoch
            self._forget()
        elif isinstance(command, Pause):
            self._paused = command.paused
        elif isinstance(command, Correct):
            poses = dict(zip(command.names, command.poses, strict=True))
            self._memory.correct(poses)
            self._lines.correct(poses)
        elif isinstance(command, ClearBox):
            box = ClearBoxLine(low=command.low, high=command.high, world_from_box=command.world_from_box)
            self._lines.append(box)
        elif isinstance(command, Load):
            self._lines.loading(command.request, self._memory.names)

    def fetch(self, name: str) -> AddKeyframe | None:
        """Return a keyframe remembered, ``None`` where it is not (any more)."""
        held = self._memory.fetch(name)
        if held is not None:
            return held
        if self._disk is None or not self._disk.file(name).is_file():
            return None
        command = self._disk.keyframe(KeyframeLine(name=name))
        return None if command is None else replace(command, catching_up=False)

    def release(self, names: Collection[str]) -> None:
        """Forget keyframes that the map can be built again without, on disk too."""
        self._lines.release(set(names))

    def loaded(self, request: int, folder: Path) -> None:
        """Note that a ``Load`` was done: the map saved in ``folder`` took the place of what came before it.

        What was noted after the ``Load`` stays, for it is of the map that was loaded. Where a reset was
        noted since, nothing is left of that map.
        """
        self._memory.remove(self._lines.loaded(request, folder))

    def not_loaded(self, request: int) -> None:
        """Note that a ``Load`` failed, or that nobody will answer it: the map is what it was."""
        self._lines.not_loaded(request)

    def adding(self, name: str | None) -> None:
        """Note which keyframe the worker is adding now, ``None`` when it is done."""
        self._adding = name
        if self._disk is not None:
            self._disk.adding(name)

    def died(self) -> str | None:
        """Note that the worker died; return the keyframe that is left out for it, if it is one too many."""
        name, self._adding = self._adding, None
        if self._disk is not None:
            self._disk.adding(None)
        if name is None or not self._remembers(name):
            return None
        if self._lines.deaths[name] + 1 < MOST_DEATHS:
            self._lines.died(name)
            return None
        self.leave_out(name)
        return name

    def leave_out(self, name: str) -> None:
        """Let a keyframe be no part of the map, for workers died of it; its file is put aside."""
        if self._remembers(name):
            self.left_out.append(name)
            self._memory.remove({name})
            self._lines.leave_out(name)

    def finish(self) -> None:
        """Forget everything, on disk too: the map is saved."""
        self._forget()
        if self._disk is not None:
            self._disk.close(remove=True)

    def flush(self) -> None:
        """Wait until everything noted is on disk."""
        if self._disk is not None:
            self._disk.flush()

    def close(self) -> None:
        """Put everything on disk, and end; what is there stays for the next run."""
        if self._disk is not None:
            self._disk.close()

    def replay(self) -> Iterator[Command]:
        """Give the commands that bring a new worker up to date, as of now.

        Keyframes are read one by one when it is their turn; nothing is left to give after a reset.
        """
        head: list[Command] = [self._begin, Reset(self._epoch), Pause(self._paused)]
        if self._lines.base is not None:
            head.append(Load(0, self._lines.base))
        body = self._read(tuple(self._lines.entries), self._generation)
        return chain(head, body, self._memory.replay())

    def _remembers(self, name: str) -> bool:
        return name in self._lines.names or name in self._memory

    def _read(self, entries: tuple[Entry, ...], generation: int) -> Iterator[Command]:
        for entry in entries:
            command = self._command(entry) if generation == self._generation else None
            if command is not None:
                yield command

    def _keep(self, command: AddKeyframe) -> None:
        """Remember a keyframe: its line where it is on disk, else all of it."""
        name, camera = command.keyframe.name, command.keyframe.camera
        if name not in self._written:
            self.write(command)
        if self._written.pop(name, False):
            line = KeyframeLine(
                name=name,
                stamp_ns=command.keyframe.stamp_ns,
                pose=camera.world_from_camera,
                odom_from_camera=command.odom_from_camera,
                base_from_camera=command.base_from_camera,
            )
            self._lines.append(line)
        else:
            self._memory.add(command)

    def _command(self, entry: Entry) -> Command | None:
        if isinstance(entry, CorrectLine):
            return Correct(entry.names, entry.poses)
        if isinstance(entry, ClearBoxLine):
            return ClearBox(0, entry.low, entry.high, entry.world_from_box)
        if isinstance(entry, KeyframeLine) and self._disk is not None:
            return self._disk.keyframe(entry)
        return None

    def _take_up(self, disk: JournalDisk, found: Found) -> None:
        """Take up what an earlier run left; a keyframe that it ended at may be one that workers die of."""
        take_up(disk, found, self._lines, self._complain)
        self.left_out = found.left_out
        self._adding = found.adding if found.adding in self._lines.names else None
        if self.died() is not None:
            self._complain(f"keyframe {found.adding} is left out: {WHY_LEFT_OUT}")

    def _forget(self) -> None:
        self._adding = None
        self._generation += 1
        self._memory.clear()
        self._lines.clear(self.left_out)
        self.left_out.clear()
