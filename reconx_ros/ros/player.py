"""Play a recording over DDS in real time: ``python -m reconx_ros.ros.player BAG``.

What ``ros2 bag play`` does, for machines without it: the recorded bytes are published as they are,
each topic with a profile that every subscriber can match. Topics are remapped, as with any node, by
``--ros-args -r from:=to``.
"""

import argparse
import importlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import rclpy
from backports import zstd
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock

from reconx_ros.errors import ReconxError, SourceError
from reconx_ros.ros.program import refuse, start
from reconx_ros.ros.qos import latched, reliable
from reconx_ros.sources.messages import RawMessage
from reconx_ros.sources.recording import Recording, open_recording

CLOCK_STEP_NS = 10_000_000
"""Nanoseconds of recorded time between two messages on /clock."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Player:
    """Publishes a recording.

    Args:
        node: that publishes.
        recording: opened.
        rate: recorded seconds a second.
        clock: whether to publish /clock.
        stop: set where somebody wants it to end.
    """

    def __init__(
        self, node: Node, recording: Recording, rate: float, clock: bool, stop: threading.Event
    ) -> None:
        self._recording, self._rate, self._stop = recording, rate, stop
        self._publishers = _publishers(node, recording.topics)
        self._clock = node.create_publisher(Clock, "/clock", reliable()) if clock else None
        self._clock_ns = -CLOCK_STEP_NS

    @property
    def stopped(self) -> bool:
        """Whether somebody wants it to end."""
        return self._stop.is_set()

    @property
    def subscriptions(self) -> int:
        """Subscriptions matched, over all topics."""
        return sum(publisher.get_subscription_count() for publisher in self._publishers.values())

    def wait_for_subscribers(self, count: int, timeout: float = 30.0) -> bool:
        """Wait until ``count`` subscriptions are matched; return whether they are."""
        deadline = time.monotonic() + timeout
        while not self._stop.is_set() and self.subscriptions < count and time.monotonic() < deadline:
            self._stop.wait(0.05)
        return self.subscriptions >= count

    def play(self) -> Iterator[float]:
        """Publish every message at its time; yield recorded seconds since the first after each."""
        first: int | None = None
        started = time.monotonic()
        for message in self._recording.messages(set(self._publishers)):
            first = message.log_ns if first is None else first
            elapsed = (message.log_ns - first) / 1e9
            self._wait(started + elapsed / self._rate, message.log_ns)
            if self._stop.is_set():
                return
            self._publishers[message.topic].publish(_payload(message))
            yield elapsed

    def flush(self) -> None:
        """Wait until reliable subscribers have everything."""
        for publisher in self._publishers.values():
            if not self._stop.is_set():
                publisher.wait_for_all_acked(Duration(seconds=2))

    def _wait(self, due: float, log_ns: int) -> None:
        """Sleep until ``due`` (monotonic), telling the recorded time as it passes."""
        while not self._stop.is_set():
            left = due - time.monotonic()
            self._tell_clock(log_ns - max(0, round(left * self._rate * 1e9)))
            if left <= 0:
                return
            self._stop.wait(min(left, CLOCK_STEP_NS / 1e9 / self._rate if self._clock else 0.2))

    def _tell_clock(self, now_ns: int) -> None:
        """Publish the recorded time, at most once a step; it also goes back when a recording loops."""
        if self._clock is not None and not 0 <= now_ns - self._clock_ns < CLOCK_STEP_NS:
            self._clock_ns = now_ns
            stamp = Time(nanoseconds=max(now_ns, 0), clock_type=ClockType.ROS_TIME)
            self._clock.publish(Clock(clock=stamp.to_msg()))


def _publishers(node: Node, topics: Mapping[str, str]) -> dict[str, Publisher]:
    """Return a publisher for each topic whose type is installed; say which are not."""
    publishers = {}
    for topic, kind in sorted(topics.items()):
        message = _message_class(kind)
        if message is None:
            node.get_logger().warning(f"{topic} is not played: message type {kind} is not installed")
        else:
            static = topic.rpartition("/")[2] == "tf_static"
            publishers[topic] = node.create_publisher(
                message, topic, latched(100) if static else reliable(20)
            )
    return publishers


def _message_class(kind: str) -> Any | None:  # noqa: ANN401
    package, _, name = kind.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None


def _payload(message: RawMessage) -> bytes:
    if message.wire != "cdr":
        raise SourceError("a ROS 1 recording cannot be played over DDS; convert it with rosbags-convert")
    compressed = message.data[:4] == _ZSTD_MAGIC
    return bytes(zstd.decompress(message.data)) if compressed else message.data


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="player", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bag", type=Path, help="rosbag2 folder, .mcap or .db3")
    parser.add_argument("--rate", type=float, default=1.0, help="recorded seconds a second (default 1)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--clock", action="store_true", help="publish /clock, for use_sim_time")
    parser.add_argument(
        "--wait-for-subscribers", type=int, default=0, metavar="N", help="subscriptions to wait for (30 s)"
    )
    parsed = parser.parse_args(remove_ros_args(arguments)[1:])
    if parsed.rate <= 0:
        parser.error(f"--rate {parsed.rate:g}: must be above 0")
    return parsed


def _run(node: Node, options: argparse.Namespace, stop: threading.Event) -> None:
    recording = open_recording(options.bag)
    try:
        player = Player(node, recording, options.rate, options.clock, stop)
        if not player.wait_for_subscribers(options.wait_for_subscribers):
            print(f"only {player.subscriptions} subscriptions came; playing all the same", flush=True)
        _play_once(player)
        while options.loop and not stop.is_set():
            _play_once(player)
        player.flush()
        if recording.damage:
            print(recording.damage, file=sys.stderr)
    finally:
        recording.close()


def _play_once(player: Player) -> None:
    """Play to the end with a progress line: rewritten on a terminal, every 5 s elsewhere."""
    terminal = sys.stdout.isatty()
    count, told, seconds = 0, time.monotonic(), 0.0
    for count, seconds in enumerate(player.play(), start=1):
        if time.monotonic() - told > (0.2 if terminal else 5.0):
            told = time.monotonic()
            print(f"played {seconds:.1f} s, {count} messages", end="\r" if terminal else "\n", flush=True)
    print(
        f"played {seconds:.1f} s, {count} messages: {'stopped' if player.stopped else 'done'}", flush=True
    )


def main(arguments: list[str] | None = None) -> int:
    """Play a recording; return 0, or 2 where it cannot be read."""
    arguments = arguments if arguments is not None else sys.argv
    options = _arguments(arguments)
    try:
        stop = start(arguments)
        _run(rclpy.create_node("player"), options, stop)
    except ReconxError as err:
        return refuse("player", err)
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
