"""A link between two machines in one process: two domains, and what passes between them is ours to cut."""

import threading
import time
from collections import deque
from functools import partial

import rclpy
from rclpy.executors import SingleThreadedExecutor
from reconx_msgs.msg import LinkState, WorkerCommand, WorkerReply

from reconx_ros.ros.link_end import COMMANDS, REPLIES, ROBOT, WORKER
from reconx_ros.ros.qos import reliable


class Relay:
    """Carries the link's topics between two domains with a delay, a rate, and a switch.

    Args:
        robot_domain: ROS_DOMAIN_ID of the robot.
        worker_domain: of the worker's machine.
        delay_s: each way.
        bits_per_second: each way; 0 for no bound.

    Attributes:
        cut: while true, everything is lost.
        passed: bytes that came through, by direction (``out``: to the worker).
    """

    def __init__(
        self, robot_domain: int, worker_domain: int, delay_s: float = 0.0, bits_per_second: float = 0.0
    ) -> None:
        self.cut = False
        self.passed = {"out": 0, "in": 0}
        self._delay, self._rate = delay_s, bits_per_second
        self._contexts = [rclpy.Context(), rclpy.Context()]
        self._executors, self._threads = [], []
        nodes = []
        for context, domain in zip(self._contexts, (robot_domain, worker_domain), strict=True):
            rclpy.init(context=context, domain_id=domain)
            nodes.append(rclpy.create_node("relay", context=context))
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(nodes[-1])
            self._executors.append(executor)
            self._threads.append(threading.Thread(target=executor.spin, daemon=True))
        self._queues: dict[str, deque[tuple[float, object, bytes]]] = {"out": deque(), "in": deque()}
        self._free = {"out": 0.0, "in": 0.0}
        for kind, topic, way in (
            (WorkerCommand, COMMANDS, "out"),
            (LinkState, ROBOT, "out"),
            (WorkerReply, REPLIES, "in"),
            (LinkState, WORKER, "in"),
        ):
            source, target = nodes if way == "out" else nodes[::-1]
            publisher = target.create_publisher(kind, topic, reliable(50))
            source.create_subscription(
                kind, topic, partial(self._take, way, publisher), reliable(50), raw=True
            )
        self._closing = False
        self._threads += [
            threading.Thread(target=self._carry, args=(way,), daemon=True) for way in self._queues
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End it."""
        self._closing = True
        for executor, context in zip(self._executors, self._contexts, strict=True):
            executor.shutdown()
            rclpy.try_shutdown(context=context)

    def _take(self, way: str, publisher: object, payload: bytes) -> None:
        if self.cut:
            return
        now = time.monotonic()
        own = 8 * len(payload) / self._rate if self._rate else 0.0
        self._free[way] = max(self._free[way], now) + own
        self._queues[way].append((self._free[way] + self._delay, publisher, payload))

    def _carry(self, way: str) -> None:
        queue = self._queues[way]
        while not self._closing:
            if not queue or queue[0][0] > time.monotonic():
                time.sleep(0.002)
                continue
            _, publisher, payload = queue.popleft()
            if not self.cut:
                self.passed[way] += len(payload)
                publisher.publish(payload)  # type: ignore[attr-defined]
