"""Frames dropped, by reason, counted by several threads."""

import threading
from collections import Counter


class DropCounter:
    """Counts in one thread while another reads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, reason: str, count: int = 1) -> None:
        """Count frames."""
        with self._lock:
            self._counts[reason] += count

    @property
    def counts(self) -> Counter[str]:
        """The counts so far, as they are now: a copy."""
        with self._lock:
            return Counter(self._counts)
