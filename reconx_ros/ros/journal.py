"""What makes up the map, on disk before it is in the map: a worker or node that starts anew reads it.

The folder holds a file a keyframe (``reconx_msgs/Keyframe``, serialised) and ``journal.jsonl``, a line a
command in order. A line is written after its keyframe is safe on disk, so that a kill or a power cut
leaves a journal that is whole up to its last good line.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.errors import SourceError
from reconx_ros.keyframes.buffer import KeyframeBuffer
from reconx_ros.ros.keyframe_message import pack_keyframe, unpack_keyframe
from reconx_ros.ros.link import AddKeyframe, Begin, ClearBox, Command, Correct, Load, Pause, Reset

Entry = dict[str, Any]

BOX = ("low", "high", "world_from_box")


class Journal:
    """Remembers the commands that make up the map.

    Args:
        begin: how to map.
        folder: where; an unfinished journal there is taken up. Without one, or where it cannot be
            written, the most useful ``keyframes.capacity`` keyframes are kept in memory.
        complain: called with a line when the disk fails or the journal is damaged.

    Attributes:
        resumed: keyframes found of an unfinished run.
    """

    def __init__(
        self, begin: Begin, folder: Path | None = None, complain: Callable[[str], object] = print
    ) -> None:
        self._begin, self._folder, self._complain = begin, folder, complain
        self._buffer = KeyframeBuffer(begin.config.keyframes.capacity)
        self._frames: dict[str, str] = {}
        self._epoch, self._paused = 0, False
        self._base: Path | None = None
        self._entries: list[Entry] = []
        self._generation = 0
        if folder is not None:
            self._open(folder)
        self.resumed = len(self)

    def __len__(self) -> int:
        """Return the number of keyframes remembered."""
        on_disk = [entry for entry in self._entries if entry["kind"] == "keyframe"]
        return len(on_disk) + len(self._buffer)

    @property
    def holds(self) -> bool:
        """Whether there is anything that makes up a map."""
        return len(self) > 0 or self._base is not None

    @property
    def next_number(self) -> int:
        """A number above those of all keyframes remembered, whose names end in numbers."""
        names = (entry["name"] for entry in self._entries if entry["kind"] == "keyframe")
        ends = (name.rpartition("_")[2] for name in names)
        return 1 + max((int(end) for end in ends if end.isdecimal()), default=-1)

    def note(self, command: Command) -> None:
        """Remember ``command`` where it changes the map; a keyframe is on disk afterwards."""
        if isinstance(command, AddKeyframe):
            self._keep(command)
        elif isinstance(command, Reset):
            self._epoch = command.epoch
            self._forget(None)
        elif isinstance(command, Pause):
            self._paused = command.paused
        elif isinstance(command, Correct):
            entry = {"kind": "correct", "names": command.names, "poses": command.poses.tolist()}
            self._append(entry)
            self._correct_buffer(command)
        elif isinstance(command, ClearBox):
            self._append(_box_entry(command))

    def fetch(self, name: str) -> AddKeyframe | None:
        """Return a keyframe remembered, ``None`` where it is not (any more)."""
        for keyframe in self._buffer.keyframes:
            if keyframe.name == name:
                return AddKeyframe(keyframe, self._frames[name])
        if self._folder is None or not (self._folder / f"{name}.keyframe").is_file():
            return None
        command = self._command({"kind": "keyframe", "name": name})
        return replace(command, catching_up=False) if isinstance(command, AddKeyframe) else None

    def loaded(self, folder: Path) -> None:
        """Note that the map was replaced by the one saved in ``folder``."""
        self._forget(folder)

    def finish(self) -> None:
        """Forget everything, on disk too: the map is saved."""
        self._forget(None)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def replay(self) -> Iterator[Command]:
        """Give the commands that bring a new worker up to date, as of now.

        Keyframes are read one by one when it is their turn; nothing is left to give after a reset.
        """
        head: list[Command] = [self._begin, Reset(self._epoch), Pause(self._paused)]
        if self._base is not None:
            head.append(Load(0, self._base))
        tail = [AddKeyframe(k, self._frames[k.name], catching_up=True) for k in self._buffer.keyframes]
        return chain(head, self._read(tuple(self._entries), self._generation), tail)

    def _read(self, entries: tuple[Entry, ...], generation: int) -> Iterator[Command]:
        for entry in entries:
            command = self._command(entry) if generation == self._generation else None
            if command is not None:
                yield command

    def _keep(self, command: AddKeyframe) -> None:
        """Write a keyframe; where the disk fails, keep it in memory and say so once."""
        name = command.keyframe.name
        if self._folder is not None:
            try:
                packed = pack_keyframe(command.keyframe, command.camera_frame)
                _write(self._folder / f"{name}.keyframe", packed)
            except OSError as err:
                why = err.strerror or err
                self._complain(f"journal {self._folder}: {why}; keyframes are kept in memory only")
            else:
                self._append({"kind": "keyframe", "name": name})
                return
        self._frames[name] = command.camera_frame
        gone = self._buffer.add(command.keyframe)
        if gone is not None:
            del self._frames[gone.name]

    def _correct_buffer(self, command: Correct) -> None:
        """Move the keyframes in memory; those on disk are corrected by replaying the command."""
        poses = dict(zip(command.names, command.poses, strict=True))
        kept, frames = self._buffer.keyframes, self._frames
        if any(keyframe.name in poses for keyframe in kept):
            self._buffer.clear()
            for keyframe in kept:
                pose = poses.get(keyframe.name, keyframe.camera.world_from_camera)
                self._buffer.add(replace(keyframe, camera=keyframe.camera.moved(pose)))
            self._frames = frames

    def _append(self, entry: Entry) -> None:
        if self._folder is None:
            return
        self._entries.append(entry)
        try:
            with (self._folder / "journal.jsonl").open("a") as stream:
                stream.write(json.dumps(entry) + "\n")
        except OSError as err:
            self._complain(f"journal {self._folder}: {err.strerror or err}")

    def _command(self, entry: Entry) -> Command | None:
        if entry["kind"] == "correct":
            return Correct(tuple(entry["names"]), np.array(entry["poses"]))
        if entry["kind"] == "clear_box":
            return ClearBox(0, *(np.array(entry[name]) for name in BOX))
        assert self._folder is not None
        file = self._folder / f"{entry['name']}.keyframe"
        try:
            keyframe, frame = unpack_keyframe(file.read_bytes())
        except (OSError, SourceError) as err:
            self._complain(f"{file} is left out: {err}")
            return None
        return AddKeyframe(keyframe, frame, catching_up=True)

    def _open(self, folder: Path) -> None:
        """Take up an unfinished journal, up to its last good line, or begin one."""
        file = folder / "journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = file.read_bytes().splitlines() if file.is_file() else []
        except OSError:
            self._folder = None  # the output folder is complained about elsewhere
            return
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
                kind = entry["kind"]
            except (ValueError, KeyError, TypeError):
                self._complain(f"{file} ends within a line; what is before it is used")
                _write(file, b"".join(good + b"\n" for good in lines[:number]))
                return
            if kind == "load":
                self._base = Path(entry["folder"])
            else:
                self._entries.append(entry)

    def _forget(self, base: Path | None) -> None:
        self._base = base
        self._generation += 1
        self._buffer.clear()
        self._frames.clear()
        self._entries.clear()
        if self._folder is not None:
            (self._folder / "journal.jsonl").unlink(missing_ok=True)
            for file in self._folder.glob("*.keyframe"):
                file.unlink(missing_ok=True)
            if base is not None:
                with (self._folder / "journal.jsonl").open("a") as stream:
                    stream.write(json.dumps({"kind": "load", "folder": str(base)}) + "\n")


def _box_entry(command: ClearBox) -> Entry:
    return {"kind": "clear_box", **{name: getattr(command, name).tolist() for name in BOX}}


def _write(file: Path, data: bytes) -> None:
    """Write a file whole: aside, forced to the disk, renamed."""
    aside = file.with_suffix(".part")
    with aside.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(file)
