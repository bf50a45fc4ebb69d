"""The demo: a recording played over DDS in real time into the real node, and the map it leaves.

Three processes: the player, the node (with its worker), and this one, which listens to ``~/status``.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions

from reconx_ros.errors import ReconxError
from reconx_ros.progress import Progress
from reconx_ros.ros.launching import ARGUMENTS, config_folder, environment, remappings
from reconx_ros.ros.status_listener import StatusListener

TOPICS = {
    "rgb_topic": "/camera/color/image_raw/compressed",
    "depth_topic": "/camera/aligned_depth_to_color/image_raw",
    "camera_info_topic": "/camera/color/camera_info",
    "depth_camera_info_topic": "/camera/aligned_depth_to_color/camera_info",
    "odom_topic": "/odom",
}
INPUTS = 7
"""Subscriptions of the node that the player waits for: images, infos, odometry and transforms."""

PATIENCE_S = 240.0
"""Seconds the node may take to come up."""

SAVING_S = 240.0
"""Seconds the node may take to map what it has received, save and end: many where the machine is busy."""


class DemoError(ReconxError):
    """A process of the demo ended early; its output says why."""


def map_live(bag: Path, output: Path, preset: str, settle_s: float, progress: Progress) -> float:
    """Play ``bag`` into the node, refine at most ``settle_s`` more, have the map saved to ``output``.

    Args:
        bag: a rosbag2 recording with the topics ``TOPICS``.
        output: folder for the map and the processes' logs.
        preset: of the node.
        settle_s: seconds of refinement after the last frame.
        progress: told once a second what the node says; when it asks to stop, the map so far is saved.

    Returns:
        Seconds from the start of the recording to the saved map.

    Raises:
        DemoError: the node or the player ended early.
    """
    os.environ.update(_environment())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # a Ctrl-C is ours: it ends in a saved map
    listener = StatusListener()
    try:
        with _process("node", _node_command(output, preset), output) as node:
            _await(node, listener, progress, output)
            began = time.monotonic()
            command = [*_module("player"), str(bag), "--clock", "--wait-for-subscribers", str(INPUTS)]
            with _process("player", command, output) as player:
                listener.follow(lambda: player.poll() is None and node.poll() is None, progress, "play")
            end = time.monotonic() + settle_s
            listener.follow(
                lambda: time.monotonic() < end and node.poll() is None and not listener.idle,
                progress,
                "refine",
            )
            _finish(node, output)
            return time.monotonic() - began
    finally:
        listener.close()
        rclpy.try_shutdown()


def _await(
    node: "subprocess.Popen[bytes]", listener: StatusListener, progress: Progress, output: Path
) -> None:
    """Wait until the node's worker is warm: the first time ever it compiles for a while."""
    deadline = time.monotonic() + PATIENCE_S
    listener.follow(
        lambda: not listener.idle and node.poll() is None and time.monotonic() < deadline,
        progress,
        "start",
    )
    if listener.latest is None and not progress.cancelled():
        raise DemoError(f"the node does not come up; {output / 'node.log'} says why")


def _finish(node: "subprocess.Popen[bytes]", output: Path) -> None:
    """End the node as Ctrl-C does, which saves the map."""
    if node.poll() is None:
        node.send_signal(signal.SIGINT)
    try:
        code = node.wait(SAVING_S)
    except subprocess.TimeoutExpired:
        raise DemoError(
            f"the node has not saved its map within {SAVING_S:.0f} s; {output / 'node.log'} says why"
        ) from None
    if code != 0:
        raise DemoError(f"the node ended with code {code}; {output / 'node.log'} says why")


def _node_command(output: Path, preset: str) -> list[str]:
    arguments = {name: default for name, (default, _) in ARGUMENTS.items()} | TOPICS
    remapped = [part for pair in remappings(arguments) for part in ("-r", ":=".join(pair))]
    values = (f"output:={output}", f"preset:={preset}", "use_sim_time:=true")
    parameters = [part for value in values for part in ("-p", value)]
    return [*_module("node"), "--ros-args", *remapped, *parameters]


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"reconx_ros.ros.{name}"]


def _environment() -> dict[str, str]:
    """Return variables for all processes: our transport profile, and a domain that nobody shares."""
    profile = environment(config_folder())
    domain = {} if "ROS_DOMAIN_ID" in os.environ else {"ROS_DOMAIN_ID": str(60 + os.getpid() % 40)}
    return {**profile, **domain, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@contextmanager
def _process(name: str, command: list[str], output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``command`` with its output in ``NAME.log``; it does not outlive the block."""
    with (output / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(SAVING_S)
