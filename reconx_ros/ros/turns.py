"""Work that one thread does at a time, and what may be left to whoever is at it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """A lock whose holder also does what others have left for it, so that nobody has to wait.

    Args:
        left_work: done, once for all times it was left, by a thread that has the turn.
    """

    def __init__(self, left_work: Callable[[], None]) -> None:
        self._left_work = left_work
        self._lock = threading.Lock()
        self._left = False

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn and have it; then do what was left meanwhile."""
        try:
            with self._lock:
                yield
        finally:
            self._work_off()

    def leave(self) -> None:
        """Let the work be done: here and now where nobody has the turn, else by who has it. Never waits."""
        self._left = True
        self._work_off()

    def _work_off(self) -> None:
        """Do what was left, unless another thread has the turn: it looks again when it ends."""
        while self._left and self._lock.acquire(blocking=False):
            try:
                if self._left:
                    self._left = False
                    self._left_work()
            finally:
                self._lock.release()
