"""Long work that SIGTERM ends cleanly, as Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from reconx_ros.cli.progress import shown_progress
from reconx_ros.progress import Progress


class _UntilSignal:
    """A progress that asks to stop after SIGTERM."""

    def __init__(self, shown: Progress) -> None:
        self._shown, self._asked = shown, False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self._shown.update(stage, done, total, note)

    def cancelled(self) -> bool:
        return self._asked or self._shown.cancelled()


@contextmanager
def stoppable() -> Iterator[Progress]:
    """Show progress; it asks to stop after Ctrl-C or SIGTERM."""
    with shown_progress() as progress:
        yield _UntilSignal(progress)
