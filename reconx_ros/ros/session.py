"""One mapping session: what ingest, the worker and the publishers have to do with each other."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import sensor_msgs.msg
from numpy.typing import NDArray
from rclpy.node import Node
from reconx_msgs.msg import MapStatus

from reconx_ros.config import ReconxConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.complaints import Complaints
from reconx_ros.ros.ending import end_worker
from reconx_ros.ros.envelope import Envelope
from reconx_ros.ros.folder_lock import FolderLock
from reconx_ros.ros.guard import MessageGuard, unpack
from reconx_ros.ros.ingest import Ingest
from reconx_ros.ros.ingest_group import IngestGroup
from reconx_ros.ros.link_commands import WORKERS_OWN, AddKeyframe, Correct, Pause, Resend, Reset
from reconx_ros.ros.link_replies import Answer
from reconx_ros.ros.map_state import MapState
from reconx_ros.ros.openings import (
    begin_of,
    ingest_settings,
    open_corrections,
    open_journal,
    open_outputs,
    open_poses,
    open_worker,
)
from reconx_ros.ros.parameters import Parameters
from reconx_ros.ros.pose_covariance import of_camera
from reconx_ros.ros.reception import Reception
from reconx_ros.ros.requests import Requests
from reconx_ros.ros.slam_path import SlamPath
from reconx_ros.ros.status_looks import StatusLooks
from reconx_ros.sources.frame_graph import bare
from reconx_ros.sources.rigid import rigid_inverse


class Session:
    """From ``configure`` to ``cleanup``: the map lives as long as this.

    Replies of the worker come in a thread of their own and are published from there; rclpy's
    publishers allow that, and the executor stays free for images.

    Args:
        node: for the log, the clock and publishers.
        parameters: of the node.
        config: every stage's settings.

    Attributes:
        requests: takes what the worker is to answer.

    Raises:
        ConfigError: another node holds the output folder, or messages that are asked for are missing.
    """

    def __init__(self, node: Node, parameters: Parameters, config: ReconxConfig) -> None:
        self._node, self._parameters, self._log = node, parameters, node.get_logger()
        self.folder = parameters.output_folder
        self.complaints = Complaints(self._log.warning)
        self.guard = MessageGuard(self._log.warning, self._log.error)
        self.state, self._jumps = MapState(), 0
        self.poses, self.corrections = open_poses(parameters), open_corrections(parameters)
        begin = begin_of(parameters, config)
        with ExitStack() as held:  # released in reverse when the session ends, or cannot begin
            held.callback(FolderLock(self.folder).release)
            self.outputs = open_outputs(node, parameters, config)
            held.callback(self.outputs.close)
            self._journal = open_journal(begin, parameters, self.folder, self.complaints, self._log)
            held.callback(self._journal.close)
            self._resumed_ns = self._resume()
            self.ingest = IngestGroup({n: self._open_ingest(n, config) for n in parameters.camera_names})
            held.callback(self.ingest.close)
            self._reception = self._open_reception()
            self.worker = open_worker(
                node, parameters, begin, self._journal, self._reception.received, lambda: self.world
            )
            held.callback(self.worker.kill)
            self.requests = self._open_requests()
            self._looks = self._open_looks()
            self._held = held.pop_all()

    @property
    def world(self) -> str:
        """Frame of the map."""
        return self.poses.world or self._parameters.map_frame

    @property
    def left_out(self) -> int:
        """Keyframes that are left out because workers died of them."""
        return len(self._journal.left_out)

    def advance(self) -> None:
        """Move frames on that wait, and look whether the map has to be corrected; quick."""
        self.ingest.advance()
        if self._jumps != self.ingest.jumps or self._resumed_in_the_past():
            self._jumps = self.ingest.jumps
            self.corrections.time_jumped()
        odom = self.poses.odom_in_world(None)
        if odom is not None:
            self._correct(self.corrections.heard(odom))

    def _resumed_in_the_past(self) -> bool:
        """Return whether the first image since the run was taken up is older than the run: a bag, again."""
        resumed, latest = self._resumed_ns, self.ingest.latest_ns
        if resumed is None or latest is None:
            return False
        self._resumed_ns = None
        return latest < resumed

    def trajectory(self, path: Any) -> str:  # noqa: ANN401
        """Take the path that SLAM has optimised; return a line where it, or some of it, cannot be used."""
        frame, world = bare(path.header.frame_id), bare(self.world)
        if frame not in ("", world):
            return f"the path is in frame '{frame}', the map in '{world}': it moves nothing"
        trajectory = SlamPath.of(path)
        self._correct(self.corrections.path(trajectory))
        return trajectory.refused

    def pause(self, paused: bool) -> None:
        """Ignore frames and stop refining, or go on."""
        self.ingest.paused = paused
        self.worker.send(Pause(paused))

    def reset(self) -> None:
        """Forget the map and all keyframes."""
        epoch = self._reception.forget()
        self.ingest.reset()
        self.corrections.clear()
        self.worker.send(Reset(epoch))
        self.outputs.forget(epoch)

    def finish(self, save: bool) -> Answer:
        """End the session: take in what is being unpacked, save where asked, stop the worker.

        Whatever happens, afterwards the worker is gone, the link closed, the folder free, and everyone
        who asked something has an answer.
        """
        try:
            return self._finish(save)
        finally:
            self._held.close()
            self._reception.refuse_rest()

    def _finish(self, save: bool) -> Answer:
        self.ingest.close()
        answer = end_worker(self.worker, self._journal, self.folder, save, self._reception.expect)
        if not self._journal.holds or (answer.code == "ok" and not answer.left):
            self._journal.finish()
        return answer

    def status(self) -> MapStatus:
        """Return the status now."""
        reception = self._reception
        return self._looks.take(self.worker, self.world, reception.saving, reception.left_out)

    @property
    def without_pose_hz(self) -> float:
        """Frames a second that were dropped for want of a pose, before the last status."""
        return self._looks.without_pose_hz

    def _resume(self) -> int | None:
        """Know the keyframes of a run that is gone on with; return their newest stamp (ns), if any."""
        earlier = self._journal.keyframes
        self.corrections.resume(earlier)
        return max((keyframe.stamp_ns for keyframe in earlier), default=None)

    def _open_reception(self) -> Reception:
        return Reception(
            self.state,
            self.outputs,
            self.corrections,
            self.complaints,
            lambda: self.world,
            lambda: self.worker.send(Resend()),
        )

    def _open_requests(self) -> Requests:
        return Requests(
            self._parameters,
            self.folder if self._parameters.worker == "onboard" else WORKERS_OWN,
            self.worker,
            self._reception,
            self.poses,
            self.ingest,
            self.corrections,
            lambda: self.world,
        )

    def _open_looks(self) -> StatusLooks:
        return StatusLooks(
            self._node, self.state, self.ingest, self.outputs, self.corrections, self.guard.dropped
        )

    def _open_ingest(self, camera: str, config: ReconxConfig) -> Ingest:
        return Ingest(
            ingest_settings(self._node, self._parameters, camera, self._journal.next_number),
            config.keyframes,
            self.poses,
            _unpack,
            self._accept,
            self.complaints.say,
            lambda: self.worker.behind,
        )

    def _accept(self, keyframe: Keyframe, camera_frame: str) -> None:
        """Send a keyframe, placed by what is known now."""
        stamp, pose = keyframe.stamp_ns, keyframe.camera.world_from_camera
        odom = self.poses.odom_in_world(stamp)
        by_odom = None if odom is None else rigid_inverse(odom) @ pose
        by_base = self.poses.base_from_camera(camera_frame, stamp)
        sure = self.poses.covariance(stamp)
        if sure is not None:
            in_odom = pose if by_odom is None else by_odom
            keyframe = replace(keyframe, pose_covariance=of_camera(sure, in_odom, by_base, odom))
        placed = self.corrections.note(keyframe, by_odom, by_base)
        self.worker.send(
            AddKeyframe(placed, camera_frame, odom_from_camera=by_odom, base_from_camera=by_base)
        )

    def _correct(self, poses: dict[str, NDArray[np.float64]]) -> None:
        """Move the map where keyframes are elsewhere than was thought."""
        if poses:
            self._log.info(f"trajectory corrected: {len(poses)} keyframes move, and the map with them")
            self.ingest.moved()
            self.worker.send(Correct(tuple(poses), np.array(list(poses.values()))))


def _unpack(envelope: Envelope) -> Any:  # noqa: ANN401
    return unpack(getattr(sensor_msgs.msg, envelope.kind), envelope.payload)
