"""Log lines that do not flood: each kind at once the first time, then now and then."""

import re
import threading
import time
from collections.abc import Callable

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def alike(line: str) -> str:
    """Return the kind of lines that say the same of other numbers: else each would be a kind of its own."""
    return _NUMBER.sub("#", line)


class Complaints:
    """Logs a line of each kind at most every ``period`` seconds, with the number left out between.

    Args:
        log: called with each line.
        period: seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self, log: Callable[[str], None], period: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._period, self._clock = log, period, clock
        self._seen: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def say(self, kind: str, line: str) -> bool:
        """Log ``line`` unless one of its ``kind`` was logged within the period; return whether it was."""
        now = self._clock()
        with self._lock:
            last, silent = self._seen.get(kind, (-float("inf"), 0))
            loud = now - last >= self._period
            self._seen[kind] = (now, 0) if loud else (last, silent + 1)
        if loud:
            self._log(f"{line} ({silent} more like this)" if silent else line)
        return loud
