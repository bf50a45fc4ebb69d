"""Commands that have come for a worker: one thread puts and never waits, one serves."""

import queue

from reconx_ros.ros.link_commands import (
    AddKeyframe,
    Cancel,
    ClearBox,
    Command,
    Correct,
    Load,
    Pause,
    Reconstruct,
    Reset,
    Save,
    Stop,
)

URGENT = (Save, Load, Stop, Reset, Pause, Correct, ClearBox, Reconstruct)
"""Commands that end refinement at once."""

ENDS = (Stop, Reset, Load)
"""Commands that also end a reconstruction somebody asked for."""


class Inbox:
    """What waits to be served, in order; what cannot wait is known at once.

    Keyframes that wait when ``Reset`` or ``Stop`` comes count no more. Each counter is written by one
    thread only.

    Attributes:
        cancelled: numbers of ``Reconstruct`` commands that are to end early.
        wanted: whether the command that ``get`` gave last counts.
    """

    def __init__(self) -> None:
        self.cancelled: set[int] = set()
        self.wanted = True
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._urgent_come = self._urgent_served = 0
        self._ends_come = self._ends_served = 0
        self._frames_come = self._frames_gone = self._frames_void = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    @property
    def urgent(self) -> bool:
        """Whether a command waits that ends refinement at once."""
        return self._urgent_come > self._urgent_served

    @property
    def ending(self) -> bool:
        """Whether a command waits that ends or replaces everything."""
        return self._ends_come > self._ends_served

    def put(self, command: Command) -> None:
        """Take a command."""
        if isinstance(command, Cancel):
            self.cancelled.add(command.request)
            return
        self._urgent_come += isinstance(command, URGENT)
        self._ends_come += isinstance(command, ENDS)
        if isinstance(command, Reset | Stop):
            self._frames_void = self._frames_come
        self._frames_come += isinstance(command, AddKeyframe)
        self._queue.put(command)

    def get(self, wait: float | None) -> Command | None:
        """Return the next command to serve, ``None`` where none comes.

        Args:
            wait: seconds to wait for one; ``None`` for ever.
        """
        try:
            command = self._queue.get(timeout=wait) if wait != 0.0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(command, AddKeyframe):
            self._frames_gone += 1
        self.wanted = not isinstance(command, AddKeyframe) or self._frames_gone > self._frames_void
        return command

    def served(self, command: Command) -> None:
        """Note that a command has been served."""
        self._urgent_served += isinstance(command, URGENT)
        self._ends_served += isinstance(command, ENDS)
