"""Progress on the terminal, and a Ctrl-C that lets the work end well."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from reconx_ros.errors import ReconxError
from reconx_ros.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class _Interruptible:
    """The first Ctrl-C asks the work to end at the next safe point; the second ends it at once."""

    def __init__(self) -> None:
        self.interrupted = False

    def cancelled(self) -> bool:
        """Return whether Ctrl-C was pressed."""
        return self.interrupted

    def on_sigint(self, _signal: int, _frame: FrameType | None) -> None:
        """Remember the first Ctrl-C, obey the second."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        print(
            "\nreconx: finishing the current step, then saving; Ctrl-C again to stop at once",
            file=sys.stderr,
        )


class PlainProgress(_Interruptible):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, every_s: float = 5.0) -> None:
        super().__init__()
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Print a line when the stage begins, ends, or was silent for a while."""
        now = time.monotonic()
        if stage in self._last and (done < total or not total) and now - self._last[stage] < self._every_s:
            return
        self._last[stage] = now
        count = f"{done}/{total}" if total else f"{done} s"
        print(f"{stage}: {count} {note}".rstrip(), file=sys.stderr, flush=True)


class BarProgress(_Interruptible):
    """A bar for each stage."""

    def __init__(self, bars: "RichProgress") -> None:
        super().__init__()
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Move the bar of ``stage``."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None, note="")
        self._bars.update(self._tasks[stage], completed=done, total=total or None, note=note)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Give progress that suits the terminal, with Ctrl-C turned into a request to stop.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed twice, or once and the work has nothing to show; says why.
    """
    if sys.stderr.isatty():
        with _bars() as bars, _caught(BarProgress(bars)) as progress:
            yield progress
    else:
        with _caught(PlainProgress()) as progress:
            yield progress


@contextmanager
def _caught(progress: BarProgress | PlainProgress) -> Iterator[Progress]:
    previous = signal.signal(signal.SIGINT, progress.on_sigint)
    try:
        yield progress
    except ReconxError as err:
        if progress.cancelled():  # what is missing because the work was to end is no error
            raise KeyboardInterrupt(str(err)) from err
        raise
    finally:
        signal.signal(signal.SIGINT, previous)


def _bars() -> "RichProgress":
    from rich.console import Console  # noqa: PLC0415  (slow to import, for a terminal only)
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as RichProgress  # noqa: PLC0415

    return RichProgress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )
