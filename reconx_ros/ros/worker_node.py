"""``reconx_worker``: the other machine's end. It maps what a robot sends and answers with changes.

One ROS process that talks, and the same worker process as onboard, which this one watches and starts
again. Of the map only what has changed since the last acknowledged one is sent, when there is room.
"""

import shutil
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message
from reconx_msgs.msg import LinkState, WorkerCommand

from reconx_ros.errors import ReconxError
from reconx_ros.ros.declaring import declare, listed, warn_of_unknown
from reconx_ros.ros.deltas import DeltaGapError
from reconx_ros.ros.folder_lock import FolderLock
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.latest_map import TURN_BYTES
from reconx_ros.ros.link_commands import Begin, Resend, Reset, Stop
from reconx_ros.ros.link_end import LinkEnd
from reconx_ros.ros.link_messages import command_from_message
from reconx_ros.ros.link_replies import Answer, Reply, Trouble
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.parameter_specs import WORKER_SPECS
from reconx_ros.ros.parameters import run_folder
from reconx_ros.ros.paths import meant
from reconx_ros.ros.program import begin, refuse
from reconx_ros.ros.reply_queue import ReplyQueue

END_S = 60.0
"""Seconds at the end in which the map is saved."""

STOP = -1
"""Number of the request with which this node, and not the robot, ends the worker."""

TURN_S = 0.5
"""Seconds of the link that one map may take, besides what is new: the next one has new points to bring."""


class WorkerNode(Node):
    """Serves one robot at a time: the last that came."""

    def __init__(self) -> None:
        super().__init__("reconx_worker")
        declare(self, WORKER_SPECS)
        warn_of_unknown(self, WORKER_SPECS)
        output = str(self.get_parameter("output").value)
        self._folder = meant(output) if output else run_folder()
        self._folder_lock = FolderLock(self._folder)
        self._worker: OnboardWorker | None = None
        self._journal: Journal | None = None
        bandwidth = float(self.get_parameter("link_bandwidth").value) * 1e6
        self._replies = ReplyQueue(round(TURN_S * bandwidth / 8) or TURN_BYTES)
        self.end = LinkEnd(self, False, self._pull, self._take, self._hear, bandwidth)
        self.end.worker = uuid.uuid4().hex
        self.end.start()
        self.get_logger().info(f"waiting for a robot; maps are saved to {self._folder}")

    def finish(self) -> None:
        """End the link, save the map, and end the worker.

        The robot keeps everything for the next worker.
        """
        self.end.close()
        try:
            if self._worker is not None and self._worker.holds and self._worker.state != "stopped":
                self._worker.send(Stop(STOP, self._folder))
                self._worker.join(END_S)
            self._end_session()
        finally:
            self._folder_lock.release()

    def _hear(self, state: LinkState) -> bool:
        """Take what a robot says about itself; return whether it is the one served."""
        mine = bool(state.session == self.end.session and state.worker == self.end.worker)
        if mine:
            self.end.outgoing.acknowledge(state.received)
        return mine

    def _take(self, message: WorkerCommand) -> None:
        """Take a command of the robot, in its turn; the first of another robot begins anew.

        What the worker has not done waits on this machine's disk.
        """
        if message.worker != self.end.worker:
            return
        if message.session != self.end.session:
            if message.sequence != 0:
                return
            self._begin_session(message.session)
        if self.end.incoming.accept(message.sequence):
            try:
                self._do(message)
            except ReconxError as err:
                self._replies.put(Trouble(str(err)))

    def _do(self, message: WorkerCommand) -> None:
        command = command_from_message(message, self._folder)
        if isinstance(command, Begin):
            begin = replace(command, scratch=self._folder / "submaps")
            self._journal = Journal(begin, self._fresh(), self._say)
            self._worker = OnboardWorker(begin, self._received, self._say, self._journal)
        elif isinstance(command, Resend):
            self._replies.resend()
            if self._worker is not None:
                self._worker.send(command)
        elif self._worker is not None:
            if isinstance(command, Reset):
                self._replies.forget_map()
            self._worker.send(command)
            if isinstance(command, Stop) and self._journal is not None:
                self.get_logger().info("the robot has ended its session")

    def _say(self, line: str) -> None:
        """Say what is wrong here: in the log, and to the robot, whose log is the one that is read."""
        self.get_logger().error(line)
        self._replies.put(Trouble(line))

    def _fresh(self) -> Path:
        """Return an empty folder for the journal: the robot tells everything itself.

        Not ``journal``, for that may be of a run of ``reconx_node`` here that is to be gone on with.
        """
        folder = self._folder / "robot_journal"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def _begin_session(self, session: str) -> None:
        self._end_session()
        self.end.session = session
        self.end.restart()
        self.get_logger().info(f"a robot is there ({session[:8]})")

    def _end_session(self) -> None:
        if self._worker is not None:
            self._worker.kill()
        if self._journal is not None:
            self._journal.finish()
        self._worker = self._journal = None
        self._replies.clear()

    def _received(self, reply: Reply) -> None:
        """Keep a reply of the worker for the link; called in a thread of the worker's."""
        if isinstance(reply, Answer) and reply.request == STOP:
            self.get_logger().info(reply.message)
            return
        try:
            self._replies.put(reply)
        except DeltaGapError:
            if self._worker is not None:
                self._worker.send(Resend())

    def _pull(self, number: int) -> bytes | None:
        """Return the next message for the robot, ``None`` where nothing waits."""
        message = self._replies.take(len(self.end.outgoing))
        if message is None:
            return None
        message.session, message.worker, message.sequence = self.end.session, self.end.worker, number
        return bytes(serialize_message(message))


ABOUT = f"""Map for a robot on another machine: docs/offboard.md.
usage: reconx_worker --ros-args [-p PARAMETER:=VALUE] ...
parameters and their defaults:
{listed(WORKER_SPECS)}"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    node = None
    try:
        stop = begin(arguments if arguments is not None else sys.argv, ABOUT)
        node = WorkerNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while rclpy.ok() and not stop.is_set():
            executor.spin_once(timeout_sec=0.1)
    except ReconxError as err:
        return refuse("reconx_worker", err)
    except ExternalShutdownException:
        pass
    finally:
        if node is not None:
            node.finish()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
