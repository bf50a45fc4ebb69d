"""How long work tells where it stands, and is asked to stop."""

from time import monotonic
from typing import Protocol


class Progress(Protocol):
    """What a stage calls while it works.

    A stage calls ``update`` now and then and looks at ``cancelled`` between two steps; when it is
    true the stage returns what it has so far, which is always valid.
    """

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report ``done`` of ``total`` steps of ``stage``; ``note`` is a short figure, e.g. a loss.

        Where nobody knows how long it takes, ``total`` is 0 and ``done`` counts seconds.
        """

    def cancelled(self) -> bool:
        """Return whether the work should end at the next safe point."""


class Until:
    """Another progress, with a time after which the work should end.

    Args:
        progress: told and asked.
        end: of ``time.monotonic()``.
        told: whether reports are passed on.
    """

    def __init__(self, progress: Progress, end: float, told: bool = True) -> None:
        self._progress, self._end, self._told = progress, end, told

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Pass the report on, where the other is to be told."""
        if self._told:
            self._progress.update(stage, done, total, note)

    def cancelled(self) -> bool:
        """Return whether the other was cancelled or the time is over."""
        return self._progress.cancelled() or monotonic() > self._end


class Silent:
    """Progress that nobody watches and nobody cancels."""

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Drop the report."""

    def cancelled(self) -> bool:
        """Never ask to stop."""
        return False
