"""Serves the commands of the node, and refines the map, films and publishes in between."""

import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from reconx_ros.errors import MapError, ReconxError
from reconx_ros.mapping.folder import check_writable
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.inbox import Inbox
from reconx_ros.ros.link_commands import (
    AddKeyframe,
    Begin,
    ClearBox,
    Command,
    Correct,
    Load,
    Pause,
    Reconstruct,
    Resend,
    Reset,
    Save,
    Stop,
)
from reconx_ros.ros.link_replies import (
    Activity,
    Added,
    Adding,
    Answer,
    Ready,
    Refused,
    Released,
    Reply,
    Trouble,
)
from reconx_ros.ros.map_answers import clear_box, load_map, save_map
from reconx_ros.ros.map_publisher import MapPublisher
from reconx_ros.ros.reconstruct import reconstruct
from reconx_ros.ros.replies import optical_rows
from reconx_ros.ros.resources import gpu_bytes, memory_bytes
from reconx_ros.ros.warmup import compile_apart, warm_up
from reconx_ros.ros.worker_scratch import leave, own_scratch
from reconx_ros.ros.worker_slice import Slice

SLICE_S = 1.5
"""Seconds of refinement between two looks at what has arrived."""

PATIENT = 4
"""Keyframes without any depth from which the user is told, where depth comes from other views."""

NO_PARALLAX = (
    "no two keyframes show the scene from different places, so none has depth yet: "
    "move the camera sideways, not only round"
)


class MapWorker:
    """Serves commands and refines in between; never raises for a bad input.

    Args:
        begin: how to map.
        send: sends a reply to the node.

    Attributes:
        inbox: commands to serve; another thread fills it.
    """

    def __init__(self, begin: Begin, send: Callable[[Reply], None]) -> None:
        self.inbox = Inbox()
        self._begin, self._send = begin, send
        self._mapper = IncrementalMapper(begin.config, own_scratch(begin.scratch))
        self._map = MapPublisher(begin, self._mapper, send)
        self._paused = self._stopped = False
        self._steps_left = 0
        self._to_imagine = False

    @property
    def cancelled(self) -> set[int]:
        """Numbers of ``Reconstruct`` commands that are to end early."""
        return self.inbox.cancelled

    def run(self) -> None:
        """Serve until told to stop."""
        self._check_output()
        self._guard("warming up", self._warm_up)
        self._send(Ready(os.getpid()))
        self._mapper.imagination.load_soon()
        while not self._stopped:
            self._serve()
            if not self._stopped and not self._paused:
                if self._steps_left > 0:
                    self._guard("refining", self._refine)
                elif self._to_imagine:
                    self._guard("filming", self._imagine)
            if not self._stopped:
                refining = self._steps_left > 0 and not self._paused
                self._guard("publishing", partial(self._map.publish_when_due, refining))

    @property
    def stopping(self) -> bool:
        """Whether a command waits that ends or replaces everything."""
        return self.inbox.ending

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
        if idle and not self._map.waiting and self.inbox.empty:
            self.tell("", 0.0)
        wait = None if idle and not self._map.waiting else 0.1 if idle else 0.0
        command = self.inbox.get(wait)
        while command is not None:
            wanted = self.inbox.wanted
            if wanted:
                self._guard(type(command).__name__, partial(self._dispatch, command))
            self.inbox.served(command)
            if isinstance(command, AddKeyframe) and wanted and not command.catching_up:
                return
            command = self.inbox.get(0.0)

    def _guard(self, what: str, work: Callable[[], None]) -> None:
        """Do ``work``; whatever it does wrong is reported, the map stays and the worker goes on."""
        try:
            work()
        except Exception as err:
            if not isinstance(err, ReconxError):
                traceback.print_exc()
            self._steps_left, self._map.changed = 0, False  # until something new comes
            first = str(err).partition("\n")[0]
            self._send(Trouble(f"worker, {what}: {type(err).__name__}: {first}"))

    def _dispatch(self, command: Command) -> None:
        if isinstance(command, AddKeyframe):
            self._add(command)
        elif isinstance(command, Pause):
            self._paused = command.paused
        elif isinstance(command, Reset):
            self._reset(command.epoch)
        elif isinstance(command, Resend):
            self._map.resend()
        elif isinstance(command, Correct):
            self._correct(command)
        elif isinstance(command, ClearBox):
            self._send(self._clear_box(command))
        elif isinstance(command, Reconstruct):
            self._send(reconstruct(command, self._mapper, self))
            self._map.changed |= command.source is None and self._map.keyframes > 0
        elif isinstance(command, Save):
            self._send(save_map(command.request, command.folder, self._mapper, self._begin.config))
        elif isinstance(command, Load):
            self._send(self._load(command))
        elif isinstance(command, Stop):
            self._stopped = True
            if command.folder is None:
                self._send(Answer(command.request, "ok", "stopped without saving"))
            else:
                self._send(save_map(command.request, command.folder, self._mapper, self._begin.config))
            self._mapper.reset()  # which also clears the disk of submaps that rested
            leave(self._begin.scratch)

    def _add(self, command: AddKeyframe) -> None:
        keyframe, camera_frame = command.keyframe, command.camera_frame
        self.tell("geometry", 0.0)
        self._send(Adding(keyframe.name))
        try:
            pointmap = self._mapper.add(keyframe)
        except Exception as err:
            self._send(Refused(keyframe.name, str(err)))
            raise
        rows = optical_rows(keyframe, pointmap)
        epoch = self._map.epoch
        added = Added(epoch, keyframe.name, keyframe.stamp_ns, camera_frame, rows, keyframe.camera)
        self._send(replace(added, points=rows[:0]) if command.catching_up else added)
        if self._mapper.without_depth >= PATIENT:
            self._send(Trouble(NO_PARALLAX))
        if self._mapper.released:
            self._send(Released(tuple(self._mapper.released)))
            self._mapper.released.clear()
        self._map.keyframe_came(camera_frame)
        self._steps_left = self._begin.config.splatting.steps
        self._to_imagine = self._mapper.imagination.wanted

    def _correct(self, command: Correct) -> None:
        moved = self._mapper.correct(dict(zip(command.names, command.poses, strict=True)))
        if moved:
            self._map.hurry()

    def _clear_box(self, command: ClearBox) -> Answer:
        answer = clear_box(command, self._mapper)
        if answer.code == "ok":
            self._map.hurry()
        return answer

    def _load(self, command: Load) -> Answer:
        answer = load_map(command, self._mapper)
        if answer.code == "ok":
            self._map.loaded()
        return answer

    def _reset(self, epoch: int) -> None:
        self._mapper.reset()
        self._map.reset(epoch)
        self._steps_left, self._to_imagine = 0, False

    def _refine(self) -> None:
        report = self._mapper.refine(SLICE_S, Slice(self.inbox, self.tell))
        if report is None or report.stopped == "no views":
            self._steps_left = 0  # nothing to train on: wait for what comes
        else:
            self._steps_left -= report.steps
            self._map.changed |= report.steps > 0

    def _imagine(self) -> None:
        """Film when the observed map is done and nothing waits; what is generated is then refined too."""
        self._to_imagine = False
        self.tell("synthesis", 0.0)
        frames = self._mapper.imagine(Slice(self.inbox, self.tell))
        if not frames and (self.inbox.urgent or not self.inbox.empty):
            self._to_imagine = True  # interrupted: again, when there is time
        elif frames:
            self._steps_left = self._begin.config.splatting.steps // 4
            self._map.changed = True

    def _warm_up(self) -> None:
        """Have all kernels ready, and nothing in memory that making them took."""
        self.tell("compiling", 0.0)
        compile_apart(self._begin.config)
        warm_up(self._begin.config)

    def _check_output(self) -> None:
        if self._begin.rescue is not None:
            try:
                check_writable(self._begin.rescue)
            except MapError as err:
                self._send(Trouble(f"{err}; maps cannot be saved there"))
