"""Work that one thread does at a time, and what may be left to whoever is at it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """A lock whose holder also does what others have left for it, so that nobody has to wait.

    What is left several times before it is done is done once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: set[Callable[[], None]] = set()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn and have it; then do what was left meanwhile."""
        try:
            with self._lock:
                yield
        finally:
            self._work_off()

    def leave(self, work: Callable[[], None]) -> None:
        """Let ``work`` be done: here and now where nobody has the turn, else by who has it. Never waits."""
        self._left.add(work)
        self._work_off()

    def _work_off(self) -> None:
        """Do what was left, unless another thread has the turn: it looks again when it ends."""
        while self._left and self._lock.acquire(blocking=False):
            try:
                if self._left:
                    self._left.pop()()
            finally:
                self._lock.release()
