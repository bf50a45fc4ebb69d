"""The worker on this machine: a child process that is started, listened to and replaced when it dies."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from reconx_ros.ros.asked import Asked
from reconx_ros.ros.journal import WHY_LEFT_OUT, Journal
from reconx_ros.ros.link_commands import REQUESTS, AddKeyframe, Begin, Command, Reset, Stop
from reconx_ros.ros.link_replies import (
    Activity,
    Added,
    Adding,
    Answer,
    MapUpdate,
    Ready,
    Refused,
    Released,
    Reply,
)
from reconx_ros.ros.outbox import Outbox
from reconx_ros.ros.worker_child import PROGRAM, WorkerChild, cause

BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds before each restart of a worker that dies again without having given out a map."""

GIVEN_UP = "the worker died too often and is not started again; the log says why"


class OnboardWorker:
    """Keeps a worker process running.

    Args:
        begin: how to map.
        received: called with every reply, in a thread of the link.
        log: called with a line when the worker dies.
        journal: what a worker that starts is told first; one in memory if ``None``.
        program: the worker, which is given the number of its end of the socket.

    Attributes:
        restarts: workers started after the first.
    """

    def __init__(
        self,
        begin: Begin,
        received: Callable[[Reply], None],
        log: Callable[[str], None],
        journal: Journal | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._received, self._log, self._program = received, log, program
        self._journal = Journal(begin) if journal is None else journal
        self._asked = Asked(self._journal)
        self._outstanding: set[str] = set()
        self._lock = threading.Lock()
        self._child: WorkerChild | None = None
        self._state = "starting"
        self._deaths = self.restarts = 0
        self._taken = self._furthest = 0  # keyframes by this worker, and at most by one before it
        self._ended = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker-link", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """``starting``, ``idle``, ``busy``, ``lost`` or ``stopped``."""
        return self._state

    @property
    def link(self) -> str:
        """``onboard``: there is no link that could break."""
        return "onboard"

    @property
    def behind(self) -> int:
        """Keyframes sent and not yet answered."""
        return len(self._outstanding)

    @property
    def unanswered(self) -> int:
        """The same: what the end of a session waits for, a while."""
        return self.behind

    @property
    def holds(self) -> bool:
        """Whether there is, or will be, a map."""
        return self._journal.holds

    @property
    def pid(self) -> int | None:
        """Process id of the worker, ``None`` while there is none."""
        child = self._child
        return None if child is None else child.process.pid

    def send(self, command: Command) -> None:
        """Send a command; while the worker is away keyframes are kept and requests are refused.

        For a keyframe it waits for the disk, so that is for a thread of its own; nothing else waits.
        """
        if isinstance(command, AddKeyframe):
            self._journal.write(command)
        with self._lock:
            child = self._child
            refused = child is None and isinstance(command, REQUESTS)
            if not refused:
                self._journal.note(command)
            if isinstance(command, AddKeyframe):
                self._outstanding.add(command.keyframe.name)
            elif isinstance(command, Reset):
                self._outstanding.clear()
                self._furthest = 0
            elif isinstance(command, REQUESTS) and child is not None:
                self._asked.add(command)
            if isinstance(command, Stop):
                self._closing.set()
            if child is not None:
                child.outbox.put(command)
        if refused and isinstance(command, REQUESTS):
            why = GIVEN_UP if self._state == "stopped" else "the worker is not running; try again"
            self._received(Answer(command.request, "failed", why))

    def kill(self) -> None:
        """End the worker at once; for one that has nothing to lose."""
        with self._lock:
            self._closing.set()
            child = self._child
        if child is not None:
            child.process.kill()
        self.join(10.0)

    def join(self, timeout: float) -> bool:
        """Wait until the worker has ended after ``Stop``; return whether it has."""
        return self._ended.wait(timeout)

    def _run(self) -> None:
        """Run one worker after another until one ends that was asked to."""
        while not self._closing.is_set() and self._deaths <= len(BACKOFF_S):
            code = self._live()
            if not self._closing.is_set():
                self._mourn(code)
        self._state = "stopped"
        self._ended.set()

    def _live(self) -> int:
        """Start a worker, bring it up to date, and listen until it ends."""
        with self._lock:
            if self._closing.is_set():
                return 0
            self._state, self._taken = "starting", 0
            try:
                outbox = Outbox(self._journal.replay(), self._journal.fetch, self._lost)
                self._child = child = WorkerChild(self._program, self._take, outbox, self._log)
            except OSError as err:
                self._log(f"the worker cannot be started: {err}")
                return 1
        code = child.listen()
        with self._lock:
            self._child = None
            unanswered = self._asked.give_up()
            if self._closing.is_set():
                self._journal.adding(None)  # it did not die of anything
            culprit = self._journal.died()
        if culprit is not None:
            self._leave_out(culprit)
        for request in unanswered:
            self._received(Answer(request, "failed", f"the worker ended ({cause(code)})"))
        return code

    def _leave_out(self, name: str) -> None:
        """Go on without a keyframe that workers die of; these deaths are explained and count no more."""
        self._deaths = 0
        self._outstanding.discard(name)
        self._received(Refused(name, WHY_LEFT_OUT))

    def _mourn(self, code: int) -> None:
        self._state = "lost"
        if self._taken > self._furthest:  # each gets further than the last: it is no use to give up
            self._deaths, self._furthest = 0, self._taken
        self._deaths += 1
        self.restarts += 1
        kept = f"{len(self._journal)} keyframes are kept"
        if self._deaths > len(BACKOFF_S):
            self._log(f"the worker died again ({cause(code)}); giving up after {self._deaths}; {kept}")
            return
        wait = BACKOFF_S[self._deaths - 1]
        self._log(f"the worker died ({cause(code)}); {kept}; a new one starts in {wait:g} s")
        self._closing.wait(wait)

    def _take(self, reply: Reply) -> None:
        """Note what a reply says about the worker, then hand it on."""
        if isinstance(reply, Ready):
            self._state = "idle"
        elif isinstance(reply, Activity):
            self._state = "busy" if reply.stage else "idle"
        elif isinstance(reply, Adding):
            with self._lock:
                self._journal.adding(reply.name)
            return
        elif isinstance(reply, Added | Refused):
            with self._lock:
                self._journal.adding(None)
            self._taken += 1
            self._outstanding.discard(reply.name)
            if self._child is not None:
                self._child.outbox.answered()
        elif isinstance(reply, Released):
            with self._lock:
                self._journal.release(reply.names)
        elif isinstance(reply, MapUpdate):
            self._deaths = 0
        elif isinstance(reply, Answer):
            reply = self._settle(reply)
        self._received(reply)

    def _lost(self, name: str) -> None:
        """Take note of a keyframe that waited and is gone: memory held only so many."""
        self._outstanding.discard(name)
        self._received(Refused(name, "the disk did not take it and memory holds only so many"))

    def _settle(self, answer: Answer) -> Answer:
        """Note what an answer says; return it, for ``Stop`` with the number of keyframes left out."""
        with self._lock:
            command, child = self._asked.settle(answer), self._child
        if isinstance(command, Stop) and child is not None:
            return replace(answer, left=child.outbox.left)
        return answer
