"""Inputs that bring nothing: which they are, since when, and what is said of them."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

SILENCE_S = 5.0
"""Seconds without input after which the user is told."""


class SilenceWatch:
    """Notices that an input has brought nothing for ``SILENCE_S`` seconds.

    What never brought anything is worth saying again and again; what has fallen silent, such as a bag
    that has ended, once.
    """

    def __init__(self, needed: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard = dict.fromkeys(needed, (0, clock()))
        self._told: list[str] = []

    def silent(self, received: Counter[str]) -> list[str]:
        """Return the needed inputs that have been silent for too long."""
        now = self._clock()
        for kind, (count, _) in self._heard.items():
            if received[kind] != count:
                self._heard[kind] = (received[kind], now)
        found = [kind for kind, (_, at) in self._heard.items() if now - at >= SILENCE_S]
        self._told = [kind for kind in self._told if kind in found]
        return found

    def news(self, received: Counter[str]) -> list[str]:
        """Return the silent inputs where that is worth a line."""
        found = self.silent(received)
        worth = any(kind not in self._told or received[kind] == 0 for kind in found)
        return found if worth else []

    def told(self, silent: list[str]) -> None:
        """Note that a line was written about these."""
        self._told = list(silent)


def silence_line(
    silent: list[str],
    topics: Mapping[str, str],
    received: Counter[str],
    mode: str,
    available: Mapping[str, list[str]],
) -> str:
    """Return the line that says which inputs bring nothing and what could be used instead.

    Args:
        silent: inputs that bring nothing.
        topics: topic names of every input.
        received: messages by input.
        mode: how images are matched, for the reader.
        available: names of existing topics of the right type, by silent input.
    """
    counts = ", ".join(f"{kind} on {topic}: {received[kind]}" for kind, topic in topics.items())
    found = "; ".join(
        f"{kind}: {', '.join(available.get(kind.rpartition('/')[2], [])) or 'none'}" for kind in silent
    )
    missing = " and ".join(silent)
    return (
        f"no {missing} in {SILENCE_S:g} s. Messages so far: {counts} ({mode}). "
        f"Topics of the right type: {found}"
    )


def silence_warning(silent: list[str]) -> list[str]:
    """Return a warning that inputs bring nothing now, for whoever watches the status."""
    return [f"no {' and '.join(silent)} in {SILENCE_S:g} s"] if silent else []
