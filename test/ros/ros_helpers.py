"""Child processes and waiting, for tests with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node

from reconx_ros.ros.qos import latched, reliable

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A child process with its output in a file."""

    def __init__(self, arguments: list[str], log: Path, **variables: str) -> None:
        self._log = log
        with log.open("w") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, **variables},
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        """Wait until ``text`` is in the output, which may come later than what else tells of it."""
        deadline = time.monotonic() + timeout
        ended = False
        while text not in self.output:
            assert not ended, f"ended before '{text}':\n{self.output}"
            ended = self.popen.poll() is not None  # its last words are looked at once more
            assert time.monotonic() < deadline, f"no '{text}' in {timeout} s:\n{self.output}"
            time.sleep(0.05)

    def interrupt(self, times: int = 1, timeout: float = 90.0) -> int:
        """Send SIGINT (several times in short order) and return the exit code."""
        for _ in range(times):
            self.popen.send_signal(signal.SIGINT)
            time.sleep(0.2)
        return self.popen.wait(timeout)


def spin_until(node: Node, done: Callable[[], bool], timeout: float = 60.0) -> bool:
    """Spin ``node`` until ``done()`` or the timeout; return ``done()``."""
    deadline = time.monotonic() + timeout
    while not done() and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.05)
    return done()


def ros_arguments(remappings: list[str], **parameters: object) -> list[str]:
    pairs = [("-r", r) for r in remappings] + [("-p", f"{k}:={v}") for k, v in parameters.items()]
    return ["--ros-args", *(word for pair in pairs for word in pair)]


def listen(node: Node, kind: type, topic: str, *, late: bool = False) -> list[Any]:
    received: list[Any] = []
    node.create_subscription(kind, topic, received.append, latched() if late else reliable())
    return received


def call(node: Node, kind: Any, name: str, timeout: float = 60.0, **fields: object) -> Any:  # noqa: ANN401
    client = node.create_client(kind, name)
    assert client.wait_for_service(60.0), f"no service {name}"
    future = client.call_async(kind.Request(**fields))
    assert spin_until(node, future.done, timeout), f"{name} did not answer"
    node.destroy_client(client)
    return future.result()
