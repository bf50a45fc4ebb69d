"""What a worker still has to be told: in order, but with nobody kept waiting by keyframes."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from reconx_ros.ros.link_commands import AddKeyframe, Cancel, Command, Reset, Stop

ROOM = 32
"""Keyframes under way to a worker; more wait here, and of these as many in memory."""


@dataclass(frozen=True)
class _Light:
    """A keyframe that waits on disk."""

    name: str
    catching_up: bool


class Outbox:
    """Commands for one worker, of which few keyframes are under way at a time.

    So what comes behind keyframes is never stuck in a socket with them: ``Cancel`` goes before all,
    and ``Reset`` and ``Stop`` take the place of the keyframes that wait. One thread gets, any may put.

    Args:
        first: what brings the worker up to date.
        fetch: reads a keyframe that waits by its name, ``None`` where it is gone.
        lost: called with the name of a keyframe that was gone when its turn came.
        room: most keyframes under way; ``None`` where the way has a bound of its own.
        at_hand: most keyframes that wait in memory.
    """

    def __init__(
        self,
        first: Iterator[Command],
        fetch: Callable[[str], AddKeyframe | None],
        lost: Callable[[str], None],
        room: int | None = ROOM,
        at_hand: int = ROOM,
    ) -> None:
        self._first, self._fetch, self._lost = first, fetch, lost
        self._room, self._at_hand = room, at_hand
        self._changed = threading.Condition()
        self._urgent: deque[Command] = deque()
        self._waiting: deque[tuple[int, Command | _Light]] = deque()
        self._head: tuple[int, Command] | None = None
        self._turn = self._under_way = self._left = 0
        self._stopping = self._ended = self._dropped = False

    def __len__(self) -> int:
        """Return the number of commands that wait, besides those that bring the worker up to date."""
        return len(self._waiting) + len(self._urgent)

    @property
    def left(self) -> int:
        """Keyframes that a worker which was told to stop has not taken in."""
        return self._left + self._under_way

    def put(self, command: Command | None) -> None:
        """Add a command; ``None`` is the end of all."""
        with self._changed:
            if command is None:
                self._ended = True
            elif isinstance(command, Cancel):
                self._urgent.append(command)
            else:
                self._append(command)
            self._changed.notify()

    def answered(self) -> None:
        """Note that a keyframe under way has been taken in or refused."""
        with self._changed:
            self._under_way = max(self._under_way - 1, 0)
            self._changed.notify()

    def get(self, block: bool = True) -> Command | None:
        """Return the next command; ``None`` at the end, or where there is none now and it may not wait."""
        while True:
            if self._head is None:
                self._head = self._draw()
            with self._changed:
                if self._ended:
                    return None
                if self._urgent:
                    return self._urgent.popleft()
                if self._head is not None and self._due(*self._head):
                    command, self._head = self._head[1], None
                    return command
                if self._head is None and (self._waiting or self._dropped):
                    self._dropped = False
                    continue
                if not block:
                    return None
                self._changed.wait()

    def _append(self, command: Command) -> None:
        if isinstance(command, Reset | Stop):
            self._turn += 1
            self._stopping = isinstance(command, Stop)
        if isinstance(command, Reset):
            self._under_way = 0
        if isinstance(command, AddKeyframe) and len(self._waiting) >= self._at_hand:
            self._waiting.append((self._turn, _Light(command.keyframe.name, command.catching_up)))
        else:
            self._waiting.append((self._turn, command))

    def _draw(self) -> tuple[int, Command] | None:
        """Return the next in order that is still wanted; it may be read from disk, so without the lock."""
        for command in self._first:
            if self._wanted(0, command):
                return 0, command
        while self._waiting:
            turn, waiting = self._waiting.popleft()
            if self._wanted(turn, waiting):
                command_or_none = self._read(waiting) if isinstance(waiting, _Light) else waiting
                if command_or_none is not None:
                    return turn, command_or_none
        return None

    def _wanted(self, turn: int, command: Command | _Light) -> bool:
        """Return whether a command counts; a keyframe from before a ``Reset`` or ``Stop`` does not."""
        wanted = turn == self._turn or not isinstance(command, AddKeyframe | _Light)
        self._left += self._stopping and not wanted
        return wanted

    def _read(self, light: _Light) -> AddKeyframe | None:
        command = self._fetch(light.name)
        if command is None:
            self._lost(light.name)
            return None
        return replace(command, catching_up=light.catching_up)

    def _due(self, turn: int, command: Command) -> bool:
        """Return whether the head may go; where it is not wanted any more, forget it."""
        if not isinstance(command, AddKeyframe):
            return True
        if not self._wanted(turn, command):
            self._head, self._dropped = None, True
            return False
        if self._room is not None and self._under_way >= self._room:
            return False
        self._under_way += self._room is not None
        return True
