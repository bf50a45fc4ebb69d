"""The end of a session: the worker takes in what it can in time, saves, and says what is left over."""

import queue
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import Stop
from reconx_ros.ros.link_replies import Answer
from reconx_ros.ros.offboard import OffboardWorker
from reconx_ros.ros.onboard import OnboardWorker

END_S = 60.0
"""Seconds that it may take: the map is written; a worker that has died comes back first."""

CATCH_UP_S = 10.0
"""Seconds of those in which a worker that is behind still takes in keyframes."""


def end_worker(
    worker: OnboardWorker | OffboardWorker,
    journal: Journal,
    folder: Path,
    save: bool,
    expect: Callable[[Callable[[Answer], None]], int],
) -> Answer:
    """Tell the worker to stop, and wait for its answer, but not for ever.

    Args:
        worker: to stop; it may go on, where it does not answer.
        journal: what it was told.
        folder: of the map and the journal.
        save: whether the map is saved there.
        expect: gives a question its number and calls back with the answer.

    Returns:
        Its answer; ``left`` is the number of keyframes that only the journal holds. Where the map is not
        saved, the message says where the keyframes are.
    """
    deadline = time.monotonic() + END_S
    if not worker.holds:
        return Answer(0, "no_map", "there is no map to save: no keyframe has come")
    if worker.link == "broken":
        return Answer(0, "failed", f"no link to the worker; {_kept(journal, folder)}")
    while worker.state == "lost" and time.monotonic() < deadline:
        time.sleep(0.1)  # one that has just died comes back and is told everything first
    if worker.state == "stopped":
        return Answer(0, "failed", f"the worker died too often; {_kept(journal, folder)}")
    late = min(time.monotonic() + CATCH_UP_S, deadline)
    while worker.unanswered and time.monotonic() < late:
        time.sleep(0.05)
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    number = expect(answers.put)
    worker.send(Stop(number, folder if save else None))
    try:
        answer = answers.get(timeout=max(deadline - time.monotonic(), 0.1))
    except queue.Empty:
        line = f"the worker did not answer in {END_S:g} s; {_kept(journal, folder)}"
        return Answer(number, "failed", line)
    worker.join(10.0)
    if answer.code not in ("ok", "no_map"):
        return replace(answer, message=f"{answer.message}; {_kept(journal, folder)}")
    return _with_rest(answer)


def _kept(journal: Journal, folder: Path) -> str:
    """Return where the keyframes are that the next run can go on with: those on disk."""
    count = len(journal.keyframes)
    if not count:
        return "no keyframes are kept"
    return f"{count} keyframes are kept in {folder}: start again with this output"


def _with_rest(answer: Answer) -> Answer:
    """Return the answer; where only the journal holds some of the keyframes, it says so."""
    if not answer.left:
        return answer
    what = answer.message if answer.code == "ok" else "there is no map yet"  # it had only just started
    rest = f"{answer.left} keyframes are not in it and stay in the journal: start again with this output"
    return replace(answer, message=f"{what}; {rest}")
