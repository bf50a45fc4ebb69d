"""A numbered series over a link that loses things: sent at a bounded rate, again until acknowledged.

No ROS in here: bytes go out through a function, acknowledgements come in as the number that the other
end expects next.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

RESEND_S = 3.0
"""Seconds without acknowledgement after which what is under way is sent again, besides its own time."""

WINDOW = 6
"""Messages under way at a time."""

BURST_S = 0.1
"""Seconds of the allowed rate that may be sent at once."""


class Budget:
    """A token bucket: no more than ``bits_per_second`` on average; 0 for no bound."""

    def __init__(self, bits_per_second: float, now: float) -> None:
        self.bits_per_second = bits_per_second
        self._bits, self._at = 0.0, now

    def allows(self, now: float) -> bool:
        """Return whether a message may be sent now."""
        burst = BURST_S * self.bits_per_second
        self._bits = min(burst, self._bits + (now - self._at) * self.bits_per_second)
        self._at = now
        return self.bits_per_second <= 0 or self._bits >= 0

    def spend(self, count: int) -> None:
        """Take note that ``count`` bytes were sent; more than there were is paid back by waiting."""
        self._bits -= 8 * count


@dataclass
class _Sent:
    number: int
    data: bytes
    at: float


class Outgoing:
    """The sender's end.

    Args:
        pull: gives the next message for its number, ``None`` where there is nothing to send now.
            It is asked only when there is room, so what waits can wait on disk.
        publish: puts bytes on the link.
        budget: how much may be sent.

    Attributes:
        sent_bytes: put on the link so far, repeats included.
    """

    def __init__(
        self,
        pull: Callable[[int], bytes | None],
        publish: Callable[[bytes], None],
        budget: Budget,
        window: int = WINDOW,
    ) -> None:
        self.sent_bytes = 0
        self._pull, self._publish, self._budget, self._window = pull, publish, budget, window
        self._flight: deque[_Sent] = deque()
        self._next = 0

    def __len__(self) -> int:
        """Return the number of messages under way."""
        return len(self._flight)

    def acknowledge(self, expected: int) -> None:
        """Take note that the other end has everything before ``expected``."""
        while self._flight and self._flight[0].number < expected:
            self._flight.popleft()

    def repeat(self) -> None:
        """Send again what is under way, for the link was broken."""
        for sent in self._flight:
            sent.at = -float("inf")

    def step(self, now: float) -> None:
        """Send what may be sent: repeats that are due, then what is new."""
        own = 8 * sum(len(sent.data) for sent in self._flight) / max(self._budget.bits_per_second, 1e6)
        for sent in self._flight:
            if now - sent.at > RESEND_S + 2 * own and self._budget.allows(now):
                self._send(sent, now)
        while len(self._flight) < self._window and self._budget.allows(now):
            data = self._pull(self._next)
            if data is None:
                return
            self._flight.append(_Sent(self._next, data, now))
            self._next += 1
            self._send(self._flight[-1], now)

    def _send(self, sent: _Sent, now: float) -> None:
        sent.at = now
        self._budget.spend(len(sent.data))
        self.sent_bytes += len(sent.data)
        self._publish(sent.data)


class Incoming:
    """The receiver's end: takes numbers in order, once each.

    Attributes:
        expected: the next number; what the sender is told.
    """

    def __init__(self) -> None:
        self.expected = 0

    def accept(self, number: int) -> bool:
        """Return whether this is the one expected; others are dropped and come again."""
        if number != self.expected:
            return False
        self.expected += 1
        return True
