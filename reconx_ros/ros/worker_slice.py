"""The worker refines and films in slices: between two of them it looks at what has arrived."""

import time
from collections.abc import Callable

from reconx_ros.ros.inbox import Inbox

SHORT_S = 0.3
"""Seconds of refinement that new keyframes cannot cut short, so that it never starves."""


class Slice:
    """Progress of one slice: reported to the node, ended by what arrives.

    Args:
        inbox: what arrives.
        tell: called with the stage and the fraction of it that is done.
    """

    def __init__(self, inbox: Inbox, tell: Callable[[str, float], None]) -> None:
        self._inbox, self._tell = inbox, tell
        self._begun = self._told = time.monotonic()

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report twice a second."""
        now = time.monotonic()
        if now - self._told > 0.5:
            self._told = now
            self._tell(stage, done / max(total, 1))

    def cancelled(self) -> bool:
        """Return whether a command waits that should be served now."""
        if self._inbox.urgent:
            return True
        return not self._inbox.empty and time.monotonic() - self._begun > SHORT_S
