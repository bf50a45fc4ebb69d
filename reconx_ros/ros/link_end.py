"""One end of the link between two machines: what robot and worker have in common.

Three topics each way, relative to the node's namespace: a numbered series of messages, and a
``LinkState`` a few times a second. Everything happens in one thread; an executor only fills a queue.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from reconx_msgs.msg import LinkState, WorkerCommand, WorkerReply

from reconx_ros.ros.messages import header
from reconx_ros.ros.qos import reliable
from reconx_ros.ros.series import Budget, Incoming, Outgoing

COMMANDS, REPLIES = "reconx_link/commands", "reconx_link/replies"
ROBOT, WORKER = "reconx_link/robot", "reconx_link/worker"

BEAT_S = 0.25
"""Seconds between two messages that say that this end is there."""

SILENCE_S = 2.0
"""Seconds without such a message after which the link counts as broken."""

TICK_S = 0.02


class LinkEnd:
    """Publishes one series, hears the other, and knows whether the other end is there.

    Args:
        node: that the link is of; it shares its namespace.
        robot: whether this is the robot's end.
        pull: gives the next message of our series for its number.
        heard: called with each message of the other series, in the link's thread.
        state_heard: called with each state heard, in the link's thread; says whether it is of our
            partner.
        bits_per_second: most that is sent; 0 for no bound.

    Attributes:
        session: of the robot.
        worker: who works, as it names itself.
        incoming: of the other series.
        outgoing: our series.
        received_bytes: of the other series so far.
    """

    def __init__(
        self,
        node: Node,
        robot: bool,
        pull: Callable[[int], Any],
        heard: Callable[[Any], None],
        state_heard: Callable[[LinkState], bool],
        bits_per_second: float,
    ) -> None:
        self.session = self.worker = ""
        self.received_bytes = 0
        self._pull, self._heard, self._state_heard = pull, heard, state_heard
        # A node of its own with its own executor: the link goes on while the robot's node is busy
        # saving or changing state.
        self._node = node = rclpy.create_node(
            f"{node.get_name()}_link", namespace=node.get_namespace(), use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._rate = bits_per_second
        self._sent_before = 0
        self._last_heard = -float("inf")
        self._inbox: queue.SimpleQueue[tuple[type, bytes]] = queue.SimpleQueue()
        ours, theirs = (WorkerCommand, WorkerReply) if robot else (WorkerReply, WorkerCommand)
        names = (COMMANDS, REPLIES, ROBOT, WORKER) if robot else (REPLIES, COMMANDS, WORKER, ROBOT)
        self._series = node.create_publisher(ours, names[0], reliable(20))
        self._states = node.create_publisher(LinkState, names[2], reliable(1))
        node.create_subscription(theirs, names[1], partial(self._put, theirs), reliable(20), raw=True)
        node.create_subscription(LinkState, names[3], partial(self._put, LinkState), reliable(1), raw=True)
        self._beat = 0.0
        self._closing = threading.Event()
        self.incoming, self.outgoing = self._begin()
        self._threads = [
            threading.Thread(target=self._run, name="link", daemon=True),
            threading.Thread(target=self._spin, name="link-executor", daemon=True),
        ]

    @property
    def connected(self) -> bool:
        """Whether the other end was heard a moment ago."""
        return time.monotonic() - self._last_heard < SILENCE_S

    @property
    def sent_bytes(self) -> int:
        """Put on the link so far, repeats included."""
        return self._sent_before + self.outgoing.sent_bytes

    def start(self) -> None:
        """Begin to talk."""
        for thread in self._threads:
            thread.start()

    def restart(self) -> None:
        """Begin both series anew, for the other end is a new one."""
        self._sent_before += self.outgoing.sent_bytes
        self.incoming, self.outgoing = self._begin()

    def close(self) -> None:
        """End talking; the second time nothing happens."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._executor.shutdown()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5.0)
        if rclpy.ok():
            self._node.destroy_node()

    def beat(self) -> None:
        """Say that this end is there and what has arrived."""
        now = self._node.get_clock().now().nanoseconds
        state = LinkState(header=header("", now), session=self.session, worker=self.worker)
        state.received = self.incoming.expected
        self._states.publish(state)
        self._beat = time.monotonic()

    def _begin(self) -> tuple[Incoming, Outgoing]:
        return Incoming(), Outgoing(self._pull, self._publish, Budget(self._rate, time.monotonic()))

    def _put(self, kind: type, payload: bytes) -> None:
        self._inbox.put((kind, payload))

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _run(self) -> None:
        while not self._closing.is_set() and rclpy.ok():
            self._guarded_turn()

    def _guarded_turn(self) -> None:
        """Do a turn; what goes wrong in it is said, and the link goes on."""
        try:
            self._turn()
        except Exception as err:
            if rclpy.ok():  # else it is the end, and publishing fails
                line = f"link: {type(err).__name__}: {err}"
                self._node.get_logger().error(line, throttle_duration_sec=5)
                time.sleep(0.1)

    def _turn(self) -> None:
        """Take what has come, say that we are there, send what may be sent."""
        try:
            kind, payload = self._inbox.get(timeout=TICK_S)
            while True:
                self._take(kind, payload)
                kind, payload = self._inbox.get_nowait()
        except queue.Empty:
            pass
        if time.monotonic() - self._beat > BEAT_S:
            self.beat()
        if self.connected:
            self.outgoing.step(time.monotonic())

    def _take(self, kind: type, payload: bytes) -> None:
        message = deserialize_message(payload, kind)
        if kind is not LinkState:
            self.received_bytes += len(payload)
            self._heard(message)
            return
        was = self.connected
        if self._state_heard(message):
            self._last_heard = time.monotonic()
            if not was:
                self.outgoing.repeat()

    def _publish(self, data: bytes) -> None:
        self._series.publish(data)
