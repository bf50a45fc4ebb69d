"""How long work tells where it stands, and is asked to stop."""

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


class Silent:
    """Progress that nobody watches and nobody cancels."""

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Drop the report."""

    def cancelled(self) -> bool:
        """Never ask to stop."""
        return False
