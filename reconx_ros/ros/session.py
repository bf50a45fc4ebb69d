"""One mapping session: what ingest, the worker and the publishers have to do with each other."""

import itertools
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import sensor_msgs.msg
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from reconx_msgs.msg import MapStatus

from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.complaints import Complaints
from reconx_ros.ros.corrections import Corrections
from reconx_ros.ros.deltas import DeltaGapError
from reconx_ros.ros.envelope import Envelope
from reconx_ros.ros.ingest import Ingest, IngestSettings
from reconx_ros.ros.ingest_group import IngestGroup
from reconx_ros.ros.inputs import image_topics
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link import (
    Activity,
    Added,
    AddKeyframe,
    Answer,
    Begin,
    Cancel,
    ClearBox,
    Correct,
    Load,
    MapUpdate,
    Pause,
    Reconstruct,
    Refused,
    Reply,
    Resend,
    Reset,
    Save,
    Stop,
    Trouble,
)
from reconx_ros.ros.link_messages import PictureFormat
from reconx_ros.ros.occupancy import GridSettings
from reconx_ros.ros.offboard import LinkSettings, OffboardWorker
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.outputs import Outputs
from reconx_ros.ros.parameters import Parameters
from reconx_ros.ros.pose_source import Frames, LivePoses
from reconx_ros.ros.status import MapState, Rates, clock_warning, drops, map_status
from reconx_ros.sources.rigid import rigid_inverse

SAVE_TIMEOUT_S = 120.0
"""Seconds the end of the node waits for the map to be written."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box to clear: corners [3] in ``frame``, whose axes are its own; ``''`` is the map frame."""

    frame: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """What ``~/reconstruct`` is asked for; see the action's definition."""

    source: str
    preset: str
    steps: int
    output: str


class Session:
    """From ``configure`` to ``cleanup``: the map lives as long as this.

    Replies of the worker come in a thread of their own and are published from there; rclpy's
    publishers allow that, and the executor stays free for images.

    Args:
        node: for the log, the clock and publishers.
        parameters: of the node.
        config: every stage's settings.
    """

    def __init__(self, node: Node, parameters: Parameters, config: ReconxConfig) -> None:
        self._node, self._parameters, self._log = node, parameters, node.get_logger()
        self.folder = parameters.output_folder
        self.complaints = Complaints(self._log.warning)
        self.state = MapState()
        self.outputs = Outputs(
            node,
            lambda: float(node.get_parameter("min_confidence").value),
            lambda: bool(node.get_parameter("publish_generated_points").value),
            _grid(parameters),
            parameters.rviz_splats,
        )
        frames = Frames(
            parameters.map_frame, parameters.odom_frame, parameters.base_frame, parameters.max_pose_gap
        )
        self.poses = LivePoses(frames, parameters.pose_source)
        self._epoch, self._requests, self._saving = 0, itertools.count(1), 0
        self._waiting: dict[int, Callable[[Answer], None]] = {}
        self._told: Callable[[Activity], None] | None = None
        self._lock = threading.Lock()
        rescue = self.folder if parameters.autosave else None
        begin = Begin(
            config, parameters.min_keyframes, parameters.map_period, rescue, self.folder / "submaps"
        )
        self._journal = self._open_journal(begin)
        self.corrections = Corrections(
            parameters.loop_closure, parameters.loop_min_shift, parameters.loop_min_turn
        )
        self._jumps = 0
        self._link_rates = Rates()
        self.worker: OnboardWorker | OffboardWorker = self._start_worker(begin)
        self.ingest = IngestGroup(
            {name: self._open_ingest(name, config) for name in parameters.camera_names}
        )
        self._rates = Rates()

    @property
    def world(self) -> str:
        """Frame of the map."""
        return self.poses.world or self._parameters.map_frame

    def advance(self) -> None:
        """Move frames on that wait, and look whether the map has to be corrected; quick."""
        self.ingest.advance()
        if self._jumps != self.ingest.jumps:
            self._jumps = self.ingest.jumps
            self.corrections.clear()  # what is drift and what is a new beginning, nobody knows
        odom = self.poses.odom_in_world(None)
        if odom is not None:
            self._correct(self.corrections.heard(odom))

    def trajectory(self, path: Any) -> None:  # noqa: ANN401
        """Take the path of the base frame that SLAM has optimised."""
        self._correct(self.corrections.path(path))

    def clear_box(self, box: Box, answered: Callable[[Answer], None]) -> None:
        """Remove what lies in a box; ``answered`` is called in a thread.

        Raises:
            TransformError: the frame of the box is not known.
        """
        pose = np.eye(4)
        if box.frame not in ("", self.world):
            newest = self.poses.tf.newest(box.frame) or self.ingest.latest_ns or 0
            pose = self.poses.extrinsic(self.world, box.frame, newest)
        self.worker.send(ClearBox(self._expect(answered), box.low, box.high, pose))

    def reconstruct(
        self, goal: Goal, answered: Callable[[Answer], None], told: Callable[[Activity], None]
    ) -> int:
        """Reconstruct a recording or refine the map in memory; return the number of the request.

        Args:
            goal: what is asked for.
            answered: called in a thread with the result.
            told: called in a thread with where the work stands.

        Raises:
            ConfigError: the preset is unknown.
        """
        file = Path(self._parameters.config_file).expanduser() if self._parameters.config_file else None
        overrides = self._parameters.overrides
        if goal.steps:
            overrides = {**overrides, "splatting": {"steps": goal.steps}}
        config = load_config(goal.preset or self._parameters.preset, file, overrides)
        folder = Path(goal.output).expanduser().absolute() if goal.output else self.folder
        source = Path(goal.source).expanduser().absolute() if goal.source else None

        def done(answer: Answer) -> None:
            self._told = None
            answered(answer)

        number, self._told = self._expect(done), told
        self.worker.send(Reconstruct(number, source, config, config.splatting.steps, folder))
        return number

    def cancel(self, request: int) -> None:
        """End a reconstruction early; what is done is saved."""
        self.worker.send(Cancel(request))

    def pause(self, paused: bool) -> None:
        """Ignore frames and stop refining, or go on."""
        self.ingest.paused = paused
        self.worker.send(Pause(paused))

    def reset(self) -> None:
        """Forget the map and all keyframes."""
        with self._lock:
            self._epoch += 1
            self.state.reset()
        self.ingest.reset()
        self.corrections.clear()
        self.worker.send(Reset(self._epoch))
        self.outputs.forget()

    def save(self, folder: Path | None, answered: Callable[[Answer], None]) -> None:
        """Save the map (to the output folder where ``None``); ``answered`` is called in a thread."""
        self._saving += 1
        self.worker.send(Save(self._expect(answered), folder or self.folder))

    def load(self, folder: Path | None, answered: Callable[[Answer], None]) -> None:
        """Replace the map by a saved one; ``answered`` is called in a thread."""
        self.worker.send(Load(self._expect(answered), folder or self.folder))

    def finish(self, save: bool) -> Answer:
        """End the session: take in what is being unpacked, save where asked, stop the worker."""
        self.ingest.close()
        if not self.worker.holds:
            self.worker.kill()
            self._journal.finish()
            return Answer(0, "no_map", "there is no map to save: no keyframe has come")
        if self.worker.link == "broken":
            kept = f"{len(self._journal)} keyframes are kept in {self.folder}"
            self.worker.kill()
            return Answer(0, "failed", f"no link to the worker; {kept}: start again with this output")
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        deadline = time.monotonic() + SAVE_TIMEOUT_S
        while self.worker.state == "lost" and time.monotonic() < deadline:
            time.sleep(0.1)  # one that has just died comes back and is told everything first
        number = self._expect(answers.put)
        self.worker.send(Stop(number, self.folder if save else None))
        try:
            answer = answers.get(timeout=SAVE_TIMEOUT_S)
        except queue.Empty:
            return Answer(number, "failed", f"the worker did not answer in {SAVE_TIMEOUT_S:g} s")
        self.worker.join(10.0)
        if answer.code == "ok":
            self._journal.finish()
        return answer

    def status(self) -> MapStatus:
        """Return the status now."""
        now = self._node.get_clock().now().nanoseconds
        status = map_status(self.state, self.world, now)
        ingest, latest = self.ingest, self.ingest.latest_ns
        counts = Counter(keyframe=self.state.taken, map=self.state.version)
        rates = self._rates.step(ingest.received + counts)
        status.image_rate_hz, status.depth_rate_hz = rates.get("image", 0.0), rates.get("depth", 0.0)
        status.keyframe_rate_hz, status.map_rate_hz = rates.get("keyframe", 0.0), rates.get("map", 0.0)
        status.map_version = self.outputs.version
        status.time_jumps, status.corrections = ingest.jumps, self.corrections.count
        status.worker_restarts, status.link = self.worker.restarts, self.worker.link
        if isinstance(self.worker, OffboardWorker):
            sent = Counter(out=self.worker.end.sent_bytes, into=self.worker.end.received_bytes)
            bytes_a_second = self._link_rates.step(sent)
            status.link_out_bps = 8 * bytes_a_second.get("out", 0.0)
            status.link_in_bps = 8 * bytes_a_second.get("into", 0.0)
            status.link_waiting = self.worker.waiting
        status.stamp_age_s = float("nan") if latest is None else (now - latest) / 1e9
        status.frames_received = ingest.received["image"]
        status.queue = ingest.waiting + self.worker.behind
        dropped = ingest.dropped
        status.tf_failures = dropped["no pose"]
        status.drop_reasons, status.drop_counts = drops(dropped)
        status.worker, status.paused = self.worker.state, ingest.paused
        status.state = self._state()
        warning = clock_warning(now, latest)
        status.warnings = [warning] if warning else []
        return status

    def _state(self) -> str:
        if self.worker.state == "stopped":
            return "error"
        if self._saving:
            return "saving"
        if self.ingest.paused:
            return "paused"
        return "mapping" if self.state.keyframes or self.worker.behind else "waiting"

    def _open_ingest(self, camera: str, config: ReconxConfig) -> Ingest:
        return Ingest(
            self._ingest_settings(camera),
            config.keyframes,
            self.poses,
            _unpack,
            self._accept,
            self.complaints.say,
            lambda: self.worker.behind,
        )

    def _ingest_settings(self, camera: str) -> IngestSettings:
        values, own = self._parameters, self._parameters.of_camera(camera)
        stereo = own.depth_mode == "stereo"
        name = "right_image" if stereo else "depth"
        depth = "" if own.depth_mode == "none" else image_topics(self._node, name, camera)[0]
        return IngestSettings(
            image_topics(self._node, "image", camera)[0],
            depth,
            "required" if stereo else own.depth_mode,
            own.slop,
            values.tf_timeout,
            values.max_backlog,
            self._journal.next_number,
            stereo,
            camera,
        )

    def _accept(self, keyframe: Keyframe, camera_frame: str) -> None:
        """Send a keyframe, placed by what is known now."""
        stamp, pose = keyframe.stamp_ns, keyframe.camera.world_from_camera
        odom = self.poses.odom_in_world(stamp)
        placed = self.corrections.note(
            replace(keyframe, pose_covariance=self.poses.covariance(stamp)),
            None if odom is None else rigid_inverse(odom) @ pose,
            self.poses.base_from_camera(camera_frame, stamp),
        )
        self.worker.send(AddKeyframe(placed, camera_frame))

    def _correct(self, poses: dict[str, NDArray[np.float64]]) -> None:
        """Move the map where keyframes are elsewhere than was thought."""
        if poses:
            self._log.info(f"trajectory corrected: {len(poses)} keyframes move, and the map with them")
            self.ingest.moved()
            self.worker.send(Correct(tuple(poses), np.array(list(poses.values()))))

    def _start_worker(self, begin: Begin) -> OnboardWorker | OffboardWorker:
        values = self._parameters
        if values.worker == "onboard":
            return OnboardWorker(begin, self._received, self._log.error, self._journal)
        pictures = PictureFormat(
            values.link_image_format, values.link_image_quality, values.link_depth_format
        )
        settings = LinkSettings(values.link_bandwidth * 1e6, pictures)
        return OffboardWorker(
            self._node, self._received, self._log.warning, self._journal, settings, lambda: self.world
        )

    def _open_journal(self, begin: Begin) -> Journal:
        folder = self.folder / "journal" if self._parameters.journal else None
        journal = Journal(begin, folder, lambda line: self.complaints.say("journal", line))
        if journal.holds and not self._parameters.resume:
            journal.finish()
            journal = Journal(begin, folder, lambda line: self.complaints.say("journal", line))
        if journal.holds:
            self._log.warning(
                f"{self.folder} holds an unfinished run; going on with its {journal.resumed} keyframes"
            )
        return journal

    def _expect(self, answered: Callable[[Answer], None]) -> int:
        number = next(self._requests)
        with self._lock:
            self._waiting[number] = answered
        return number

    def _received(self, reply: Reply) -> None:
        """Handle a reply, in the link's thread: an error here must not end it."""
        try:
            self._handle(reply)
        except Exception as err:
            self.complaints.say("reply", f"{type(reply).__name__}: {type(err).__name__}: {err}")

    def _handle(self, reply: Reply) -> None:
        if isinstance(reply, Added):
            if reply.epoch == self._epoch and rclpy.ok():
                self.state.keyframe_came()
                if len(reply.points):  # none where a new worker is told what was published before
                    self.outputs.keyframe(reply)
        elif isinstance(reply, MapUpdate):
            if reply.epoch == self._epoch and rclpy.ok():
                self.state.map_came(reply)
                self._publish(reply)
        elif isinstance(reply, Activity):
            self.state.activity_came(reply)
            if self._told is not None:
                self._told(reply)
        elif isinstance(reply, Refused):
            self.complaints.say("refused", f"keyframe {reply.name} is left out: {reply.why}")
        elif isinstance(reply, Trouble):
            self.complaints.say(reply.line, reply.line)
        elif isinstance(reply, Answer):
            self._answer(reply)

    def _publish(self, update: MapUpdate) -> None:
        try:
            self.outputs.map(update, self.world)
        except DeltaGapError as err:
            self.complaints.say("gap", str(err))
            self.worker.send(Resend())

    def _answer(self, answer: Answer) -> None:
        with self._lock:
            answered = self._waiting.pop(answer.request, None)
            self._saving = 0
        if answered is not None:
            answered(answer)


def _grid(parameters: Parameters) -> GridSettings | None:
    if not parameters.occupancy_grid:
        return None
    return GridSettings(parameters.grid_resolution, parameters.grid_min_height, parameters.grid_max_height)


def _unpack(envelope: Envelope) -> Any:  # noqa: ANN401
    return deserialize_message(envelope.payload, getattr(sensor_msgs.msg, envelope.kind))
