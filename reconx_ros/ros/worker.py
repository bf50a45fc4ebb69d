"""The worker process: reconstructs while the node buffers and publishes.

Started by the node as ``python -m reconx_ros.ros.worker FD`` with one end of a socket pair. It
obeys the node alone: signals of the terminal are ignored, and where the node dies without a word
the map is saved before the worker ends.
"""

import contextlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from reconx_ros.errors import MapError, ReconxError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.folder import check_writable, load, save
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.link import (
    Activity,
    Added,
    AddKeyframe,
    Answer,
    Begin,
    Code,
    Command,
    Load,
    Pause,
    Ready,
    Refused,
    Reply,
    Reset,
    Save,
    Stop,
    Trouble,
)
from reconx_ros.ros.replies import map_update, optical_rows
from reconx_ros.ros.warmup import warm_up

URGENT = (Save, Load, Stop, Reset, Pause)
"""Commands that end refinement at once."""

SLICE_S = 1.5
"""Seconds of refinement between two looks at what has arrived."""

SHORT_S = 0.3
"""Seconds of refinement that new keyframes cannot cut short, so that it never starves."""

NICE = 10
"""The worker may use all cores; the node's callbacks go first."""


class Slice:
    """Progress of one slice of refinement: reported to the node, ended by what arrives."""

    def __init__(self, worker: "MapWorker") -> None:
        self._worker = worker
        self._begun = self._told = time.monotonic()

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report twice a second."""
        now = time.monotonic()
        if now - self._told > 0.5:
            self._told = now
            self._worker.tell(stage, done / max(total, 1))

    def cancelled(self) -> bool:
        """Return whether a command waits that should be served now."""
        if self._worker.urgent:
            return True
        return not self._worker.inbox.empty() and time.monotonic() - self._begun > SHORT_S


class MapWorker:
    """Serves commands and refines in between; never raises for a bad input.

    Args:
        begin: how to map.
        send: sends a reply to the node.

    Attributes:
        inbox: commands to serve, in order.
    """

    def __init__(self, begin: Begin, connection: Connection) -> None:
        self.inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._urgent_come = self._urgent_served = 0  # each written by one thread only
        self._begin, self._connection = begin, connection
        self._mapper = IncrementalMapper(begin.config)
        self._epoch, self._keyframes, self._loaded = 0, 0, False
        self._paused = self._stopped = self._changed = False
        self._steps_left = 0
        self._published = -float("inf")
        self._camera_frame = ""

    @property
    def urgent(self) -> bool:
        """Whether a command waits that ends refinement at once."""
        return self._urgent_come > self._urgent_served

    def take(self, command: Command) -> None:
        """Put a command into the inbox; called by the thread that reads."""
        if isinstance(command, URGENT):
            self._urgent_come += 1
        self.inbox.put(command)

    def run(self) -> None:
        """Serve until told to stop."""
        self._check_output()
        self._guard("warming up", partial(warm_up, self._begin.config))
        self._send(Ready(os.getpid()))
        while not self._stopped:
            self._serve()
            if not self._stopped and self._steps_left > 0 and not self._paused:
                self._guard("refining", self._refine)
            self._guard("publishing", self._publish_when_due)

    def tell(self, stage: str, fraction: float) -> None:
        """Tell the node what is being done."""
        self._send(Activity(stage, min(max(fraction, 0.0), 1.0), _memory()))

    def _serve(self) -> None:
        """Serve what has arrived, one keyframe at most; with nothing else to do, wait for it.

        After each keyframe the map has its turn: a stream of keyframes never keeps it from being
        refined and published.
        """
        idle = self._paused or self._steps_left <= 0
        if idle and not self._changed and self.inbox.empty():
            self.tell("", 0.0)
        wait = None if idle and not self._changed else 0.1 if idle else 0.0
        with contextlib.suppress(queue.Empty):
            command = self.inbox.get(timeout=wait) if wait != 0.0 else self.inbox.get_nowait()
            while True:
                self._guard(type(command).__name__, partial(self._dispatch, command))
                self._urgent_served += isinstance(command, URGENT)
                if isinstance(command, AddKeyframe):
                    return
                command = self.inbox.get_nowait()

    def _guard(self, what: str, work: Callable[[], None]) -> None:
        """Do ``work``; whatever it does wrong is reported, the map stays and the worker goes on."""
        try:
            work()
        except Exception as err:
            if not isinstance(err, ReconxError):
                traceback.print_exc()
            self._steps_left, self._changed = 0, False  # until something new comes
            first = str(err).partition("\n")[0]
            self._send(Trouble(f"worker, {what}: {type(err).__name__}: {first}"))

    def _dispatch(self, command: Command) -> None:
        if isinstance(command, AddKeyframe):
            self._add(command.keyframe, command.camera_frame)
        elif isinstance(command, Pause):
            self._paused = command.paused
        elif isinstance(command, Reset):
            self._reset(command.epoch)
        elif isinstance(command, Save):
            self._send(self._save(command.request, command.folder))
        elif isinstance(command, Load):
            self._send(self._load(command.request, command.folder))
        elif isinstance(command, Stop):
            self._stopped = True
            if command.folder is None:
                self._send(Answer(command.request, "ok", "stopped without saving"))
            else:
                self._send(self._save(command.request, command.folder))

    def _add(self, keyframe: Keyframe, camera_frame: str) -> None:
        self.tell("geometry", 0.0)
        try:
            pointmap = self._mapper.add(keyframe)
        except Exception as err:
            self._send(Refused(keyframe.name, str(err)))
            raise
        rows = optical_rows(keyframe, pointmap)
        self._send(Added(self._epoch, keyframe.name, keyframe.stamp_ns, camera_frame, rows))
        self._keyframes += 1
        self._camera_frame = camera_frame
        self._changed = True
        self._steps_left = self._begin.config.splatting.steps

    def _reset(self, epoch: int) -> None:
        self._mapper.reset()
        self._epoch, self._keyframes, self._steps_left = epoch, 0, 0
        self._changed = self._loaded = False
        self._published = -float("inf")

    def _refine(self) -> None:
        report = self._mapper.refine(SLICE_S, Slice(self))
        if report is None or report.stopped == "no views":
            self._steps_left = 0  # nothing to train on: wait for what comes
        else:
            self._steps_left -= report.steps
            self._changed = self._changed or report.steps > 0

    def _publish_when_due(self) -> None:
        due = time.monotonic() - self._published >= self._begin.update_period_s
        enough = self._keyframes >= self._begin.min_keyframes or self._loaded
        if not enough and self._steps_left <= 0:
            self._changed = False
        if self._changed and enough and due and not self._stopped:
            self._publish()

    def _publish(self) -> None:
        snapshot = self._mapper.snapshot()
        self._changed = False
        self._published = time.monotonic()
        if snapshot is not None:
            self._send(map_update(self._epoch, snapshot, self._camera_frame))

    def _save(self, request: int, folder: Path) -> Answer:
        code: Code = "failed"
        try:
            snapshot = self._mapper.snapshot()
            if snapshot is None:
                return Answer(request, "no_map", "there is no map yet: no keyframe has come")
            code = "bad_path"
            check_writable(folder)
            code = "failed"
            where = save(snapshot, folder, self._begin.config).resolve()
        except Exception as err:  # the one who asked must hear of it
            return Answer(request, code, str(err))
        count = f"{len(snapshot.gaussians)} Gaussians of {len(snapshot.keyframes)} keyframes"
        return Answer(request, "ok", f"{count} saved to {where}", str(where))

    def _load(self, request: int, folder: Path) -> Answer:
        try:
            reconstruction = load(folder)
            self._mapper.load(reconstruction)
        except Exception as err:  # the one who asked must hear of it
            missing = not (folder / "map.ply").is_file()
            return Answer(request, "no_map" if missing else "bad_map", str(err))
        self._keyframes, self._loaded, self._changed = 0, True, True
        count = f"{len(reconstruction.gaussians)} Gaussians"
        return Answer(request, "ok", f"{count} loaded from {folder}", str(folder.resolve()))

    def _check_output(self) -> None:
        if self._begin.rescue is not None:
            try:
                check_writable(self._begin.rescue)
            except MapError as err:
                self._send(Trouble(f"{err}; maps cannot be saved there"))

    def _send(self, reply: Reply) -> None:
        # Where the node is gone, the reader sees the end and brings the last command.
        with contextlib.suppress(OSError):
            self._connection.send(reply)


def _memory() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _read(connection: Connection, worker: MapWorker, rescue: Path | None) -> None:
    """Fill the inbox until the node is gone; then save and end."""
    try:
        while True:
            worker.take(connection.recv())
    except (EOFError, OSError):
        worker.take(Stop(0, rescue))


def main() -> None:
    """Serve the node at the other end of the socket whose number is the argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    connection = Connection(int(sys.argv[1]))
    try:
        begin = connection.recv()
    except EOFError:
        return
    worker = MapWorker(begin, connection)
    threading.Thread(target=_read, args=(connection, worker, begin.rescue), daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
