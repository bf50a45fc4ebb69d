"""The worker on this machine: a child process that is started, listened to and replaced when it dies."""

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import reconx_ros
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link import (
    Activity,
    Added,
    AddKeyframe,
    Answer,
    Begin,
    ClearBox,
    Command,
    Load,
    MapUpdate,
    Ready,
    Reconstruct,
    Refused,
    Reply,
    Reset,
    Save,
    Stop,
)

REQUESTS = (Save, Load, Stop, ClearBox, Reconstruct)
"""Commands that are answered."""

BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds before each restart of a worker that dies again without having given out a map."""


class _Child:
    """One worker process and the two threads that talk with it."""

    def __init__(self, received: Callable[[Reply], None], first: Iterator[Command]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "reconx_ros.ros.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                start_new_session=True,  # a Ctrl-C on the terminal is the node's affair
            )
        self._connection = Connection(ours.detach())
        self._received, self._first = received, first
        self.outbox: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="worker-writer", daemon=True).start()

    def listen(self) -> int:
        """Hand on replies until the process ends; return its exit code."""
        try:
            while True:
                self._received(self._connection.recv())
        except (EOFError, OSError):
            self.outbox.put(None)
            return self.process.wait()

    def _write(self) -> None:
        try:
            for first in self._first:
                self._connection.send(first)
            while (command := self.outbox.get()) is not None:
                self._connection.send(command)
        except OSError:
            pass  # the listener sees the same end and reports it


class OnboardWorker:
    """Keeps a worker process running.

    Args:
        begin: how to map.
        received: called with every reply, in a thread of the link.
        log: called with a line when the worker dies.
        journal: what a worker that starts is told first; one in memory if ``None``.

    Attributes:
        restarts: workers started after the first.
    """

    def __init__(
        self,
        begin: Begin,
        received: Callable[[Reply], None],
        log: Callable[[str], None],
        journal: Journal | None = None,
    ) -> None:
        self._received, self._log = received, log
        self._journal = Journal(begin) if journal is None else journal
        self._requests: dict[int, Command] = {}
        self._outstanding: set[str] = set()
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._state = "starting"
        self._deaths = self.restarts = 0
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
    def holds(self) -> bool:
        """Whether there is, or will be, a map."""
        return self._journal.holds

    @property
    def pid(self) -> int | None:
        """Process id of the worker, ``None`` while there is none."""
        child = self._child
        return None if child is None else child.process.pid

    def send(self, command: Command) -> None:
        """Send a command; while the worker is away keyframes are kept and requests are refused."""
        with self._lock:
            self._journal.note(command)
            child = self._child
            if isinstance(command, AddKeyframe):
                self._outstanding.add(command.keyframe.name)
            elif isinstance(command, Reset):
                self._outstanding.clear()
            elif isinstance(command, REQUESTS) and child is not None:
                self._requests[command.request] = command
            if isinstance(command, Stop):
                self._closing.set()
            if child is not None:
                child.outbox.put(command)
        if child is None and isinstance(command, REQUESTS):
            self._received(Answer(command.request, "failed", "the worker is not running; try again"))

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
            self._state = "starting"
            self._child = child = _Child(self._take, self._journal.replay())
        code = child.listen()
        with self._lock:
            self._child = None
            unanswered, self._requests = self._requests, {}
        for request in unanswered:
            self._received(Answer(request, "failed", f"the worker ended ({_cause(code)})"))
        return code

    def _mourn(self, code: int) -> None:
        self._state = "lost"
        self._deaths += 1
        self.restarts += 1
        kept = f"{len(self._journal)} keyframes are kept"
        if self._deaths > len(BACKOFF_S):
            self._log(f"the worker died again ({_cause(code)}); giving up after {self._deaths}; {kept}")
            return
        wait = BACKOFF_S[self._deaths - 1]
        self._log(f"the worker died ({_cause(code)}); {kept}; a new one starts in {wait:g} s")
        self._closing.wait(wait)

    def _take(self, reply: Reply) -> None:
        """Note what a reply says about the worker, then hand it on."""
        if isinstance(reply, Ready):
            self._state = "idle"
        elif isinstance(reply, Activity):
            self._state = "busy" if reply.stage else "idle"
        elif isinstance(reply, Added | Refused):
            self._outstanding.discard(reply.name)
        elif isinstance(reply, MapUpdate):
            self._deaths = 0
        elif isinstance(reply, Answer):
            self._settle(reply)
        self._received(reply)

    def _settle(self, answer: Answer) -> None:
        with self._lock:
            command = self._requests.pop(answer.request, None)
            if isinstance(command, Load) and answer.code == "ok":
                self._journal.loaded(Path(answer.path))


def _environment() -> dict[str, str]:
    """Return the environment of the worker: this package on its path, and a sound ROS bootstrap.

    The ROS wheels re-execute Python once to set LD_LIBRARY_PATH and mark that it is done; where the
    mark has come without the path, it must go, so that the child does it again.
    """
    environment = dict(os.environ)
    if "LD_LIBRARY_PATH" not in environment:
        environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    root = str(Path(reconx_ros.__file__).resolve().parents[1])
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _cause(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
