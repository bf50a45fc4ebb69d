"""Requests that a worker has not answered yet, and what their answers mean for the journal."""

from pathlib import Path

from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import Command, Load, Request
from reconx_ros.ros.link_replies import Answer


class Asked:
    """What was asked of a worker. Calls come one at a time, as to the journal.

    Args:
        journal: hears what became of each ``Load`` that it noted.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: dict[int, Request] = {}

    def add(self, request: Request) -> None:
        """Note what is asked now."""
        self._open[request.request] = request

    def settle(self, answer: Answer) -> Command | None:
        """Take note of an answer; return what was asked, ``None`` where nobody did (any more)."""
        request = self._open.pop(answer.request, None)
        if isinstance(request, Load) and answer.code == "ok":
            self._journal.loaded(answer.request, Path(answer.path))
        else:
            self._journal.not_loaded(answer.request)
        return request

    def give_up(self) -> list[int]:
        """Forget all that was asked, for nobody will answer; return the numbers."""
        numbers, self._open = list(self._open), {}
        for number in numbers:
            self._journal.not_loaded(number)
        return numbers
