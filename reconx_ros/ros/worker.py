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
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from reconx_ros.errors import MapError, ReconxError
from reconx_ros.mapping.folder import check_writable, load, save
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.link import (
    Activity,
    Added,
    AddKeyframe,
    Answer,
    Begin,
    Cancel,
    ClearBox,
    Code,
    Command,
    Correct,
    Load,
    Pause,
    Ready,
    Reconstruct,
    Refused,
    Reply,
    Resend,
    Reset,
    Save,
    Stop,
    Trouble,
)
from reconx_ros.ros.reconstruct import reconstruct
from reconx_ros.ros.replies import MapReplies, optical_rows
from reconx_ros.ros.resources import give_back, gpu_bytes, memory_bytes
from reconx_ros.ros.warmup import warm_up

URGENT = (Save, Load, Stop, Reset, Pause, Correct, ClearBox, Reconstruct)
"""Commands that end refinement at once."""

ENDS = (Stop, Reset, Load)
"""Commands that also end a reconstruction somebody asked for."""

SLICE_S = 1.5
"""Seconds of refinement between two looks at what has arrived."""

SHORT_S = 0.3
"""Seconds of refinement that new keyframes cannot cut short, so that it never starves."""

MOST_WAITING = 32
"""Keyframes that wait here; more stay with the node until there is room."""

TRIM_S = 20.0
"""Seconds between two times that freed memory is given back to the system."""

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
        cancelled: numbers of ``Reconstruct`` commands that are to end early.
    """

    def __init__(self, begin: Begin, send: Callable[[Reply], None]) -> None:
        self.inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self._room = threading.Semaphore(MOST_WAITING)
        self._urgent_come = self._urgent_served = 0  # each written by one thread only
        self._ends_come = self._ends_served = 0
        self._begin, self._send = begin, send
        self._mapper = IncrementalMapper(begin.config, _scratch(begin.scratch))
        self._replies = MapReplies()
        self._epoch, self._keyframes, self._loaded = 0, 0, False
        self._paused = self._stopped = self._changed = False
        self._steps_left = 0
        self._to_imagine = False
        self._published = -float("inf")
        self._trimmed = time.monotonic()
        self._camera_frame = ""

    @property
    def urgent(self) -> bool:
        """Whether a command waits that ends refinement at once."""
        return self._urgent_come > self._urgent_served

    def take(self, command: Command) -> None:
        """Put a command into the inbox; called by the thread that reads."""
        if isinstance(command, Cancel):
            self.cancelled.add(command.request)
            return
        if isinstance(command, URGENT):
            self._urgent_come += 1
        self._ends_come += isinstance(command, ENDS)
        if isinstance(command, AddKeyframe):
            self._room.acquire()  # the journal of an hour must not gather in memory
        self.inbox.put(command)

    def run(self) -> None:
        """Serve until told to stop."""
        self._check_output()
        self._guard("warming up", partial(warm_up, self._begin.config))
        self._send(Ready(os.getpid()))
        self._mapper.imagination.load_soon()
        while not self._stopped:
            self._serve()
            if not self._stopped and not self._paused:
                if self._steps_left > 0:
                    self._guard("refining", self._refine)
                elif self._to_imagine:
                    self._guard("filming", self._imagine)
            self._guard("publishing", self._publish_when_due)

    @property
    def stopping(self) -> bool:
        """Whether a command waits that ends or replaces everything."""
        return self._ends_come > self._ends_served

    def tell(self, stage: str, fraction: float, note: str = "") -> None:
        """Tell the node what is being done."""
        fraction = min(max(fraction, 0.0), 1.0)
        self._send(Activity(stage, fraction, memory_bytes(), gpu_bytes(), note))

    def _serve(self) -> None:
        """Serve what has arrived, one keyframe at most; with nothing else to do, wait for it.

        After each keyframe the map has its turn: a stream of keyframes never keeps it from being
        refined and published.
        """
        idle = self._paused or (self._steps_left <= 0 and not self._to_imagine)
        if idle and not self._changed and self.inbox.empty():
            self.tell("", 0.0)
        wait = None if idle and not self._changed else 0.1 if idle else 0.0
        with contextlib.suppress(queue.Empty):
            command = self.inbox.get(timeout=wait) if wait != 0.0 else self.inbox.get_nowait()
            while True:
                self._guard(type(command).__name__, partial(self._dispatch, command))
                self._urgent_served += isinstance(command, URGENT)
                self._ends_served += isinstance(command, ENDS)
                if isinstance(command, AddKeyframe) and not command.catching_up:
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
            self._room.release()
            self._add(command)
        elif isinstance(command, Pause):
            self._paused = command.paused
        elif isinstance(command, Reset):
            self._reset(command.epoch)
        elif isinstance(command, Resend):
            self._replies.resend()
            self._changed = self._changed or self._keyframes > 0 or self._loaded
        elif isinstance(command, Correct):
            self._correct(command)
        elif isinstance(command, ClearBox):
            self._send(self._clear_box(command))
        elif isinstance(command, Reconstruct):
            self._send(reconstruct(command, self._mapper, self))
            self._changed = self._changed or (command.source is None and self._keyframes > 0)
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
            self._mapper.reset()  # which also clears the disk of submaps that rested

    def _add(self, command: AddKeyframe) -> None:
        keyframe, camera_frame = command.keyframe, command.camera_frame
        self.tell("geometry", 0.0)
        try:
            pointmap = self._mapper.add(keyframe)
        except Exception as err:
            self._send(Refused(keyframe.name, str(err)))
            raise
        rows = optical_rows(keyframe, pointmap)
        added = Added(self._epoch, keyframe.name, keyframe.stamp_ns, camera_frame, rows, keyframe.camera)
        self._send(replace(added, points=rows[:0]) if command.catching_up else added)
        self._keyframes += 1
        self._camera_frame = camera_frame
        self._changed = True
        self._steps_left = self._begin.config.splatting.steps
        self._to_imagine = self._mapper.imagination.wanted

    def _correct(self, command: Correct) -> None:
        moved = self._mapper.correct(dict(zip(command.names, command.poses, strict=True)))
        if moved:
            self._changed, self._published = True, -float("inf")  # nobody should plan on the old one

    def _clear_box(self, command: ClearBox) -> Answer:
        try:
            count = self._mapper.clear_box(command.low, command.high, command.world_from_box)
        except Exception as err:  # the one who asked must hear of it
            return Answer(command.request, "failed", str(err))
        self._changed, self._published = self._keyframes > 0 or self._loaded, -float("inf")
        return Answer(command.request, "ok", f"{count} points and Gaussians removed", count=count)

    def _reset(self, epoch: int) -> None:
        self._mapper.reset()
        self._replies.resend()
        self._epoch, self._keyframes, self._steps_left = epoch, 0, 0
        self._changed = self._loaded = self._to_imagine = False
        self._published = -float("inf")

    def _refine(self) -> None:
        report = self._mapper.refine(SLICE_S, Slice(self))
        if report is None or report.stopped == "no views":
            self._steps_left = 0  # nothing to train on: wait for what comes
        else:
            self._steps_left -= report.steps
            self._changed = self._changed or report.steps > 0

    def _imagine(self) -> None:
        """Film when the observed map is done and nothing waits; what is generated is then refined too."""
        self._to_imagine = False
        self.tell("synthesis", 0.0)
        frames = self._mapper.imagine(Slice(self))
        if not frames and (self.urgent or not self.inbox.empty()):
            self._to_imagine = True  # interrupted: again, when there is time
        elif frames:
            self._steps_left = self._begin.config.splatting.steps // 4
            self._changed = True

    def _publish_when_due(self) -> None:
        due = time.monotonic() - self._published >= self._begin.update_period_s
        enough = self._keyframes >= self._begin.min_keyframes or self._loaded
        if not enough and self._steps_left <= 0:
            self._changed = False
        if self._changed and enough and due and not self._stopped:
            self._publish()

    def _publish(self) -> None:
        update = self._replies.make(self._epoch, self._mapper, self._camera_frame)
        self._changed = False
        self._published = time.monotonic()
        if update is not None:
            self._send(update)
        if time.monotonic() - self._trimmed > TRIM_S:
            give_back()
            self._trimmed = time.monotonic()

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
        self._replies.resend()
        count = f"{len(reconstruction.gaussians)} Gaussians"
        return Answer(request, "ok", f"{count} loaded from {folder}", str(folder.resolve()))

    def _check_output(self) -> None:
        if self._begin.rescue is not None:
            try:
                check_writable(self._begin.rescue)
            except MapError as err:
                self._send(Trouble(f"{err}; maps cannot be saved there"))


def _scratch(wanted: Path | None) -> Path | None:
    """Return the folder for submaps; ``None`` (a temporary one) where nothing can be written there."""
    if wanted is not None:
        try:
            check_writable(wanted)
        except MapError:
            return None
    return wanted


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

    def send(reply: Reply) -> None:
        # Where the node is gone, the reader sees the end and brings the last command.
        with contextlib.suppress(OSError):
            connection.send(reply)

    worker = MapWorker(begin, send)
    threading.Thread(target=_read, args=(connection, worker, begin.rescue), daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
