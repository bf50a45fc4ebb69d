"""Do to real nodes what goes wrong in the field, and print the seconds until each goes on.

    python benchmarks/recovery.py [--keyframes 20] [--json FILE]

A camera at 320x240 before the node as a user runs it; for the link a worker on another ROS domain behind a
relay that can be cut. ``docs/faults.md`` quotes the figures.
"""
# ruff: noqa: PLC0415  ROS is imported once its domain is set

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ros_alone import ROOT, keep_alone

sys.path[:0] = [str(ROOT), str(ROOT / "test" / "ros")]  # the camera and the relay of the tests

if TYPE_CHECKING:
    from ros_pair import Pair
    from ros_scene import Scene

CUT_S = 5.0
"""Seconds the link is away."""


def seconds(work: Callable[[], Any]) -> float:
    """Return how long ``work`` takes."""
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 2)


def onboard(folder: Path, keyframes: int) -> dict[str, float]:
    """Kill the worker, then the node, then end it in order."""
    import rclpy
    from ros_scene import Scene

    node = rclpy.create_node("recovery")
    scene = Scene(folder, node)
    try:
        assert scene.camera.wait(60), scene.process.output
        scene.until(lambda: bool(scene.statuses) and scene.last.worker == "idle", 300)  # it may compile
        for _ in range(keyframes):
            scene.one_more()
        return {
            "worker_killed": kill_worker(scene),
            "first_keyframe_after": seconds(scene.one_more),
            "node_killed": kill_node(scene),
            "interrupted_and_saved": seconds(scene.process.interrupt),
        }
    finally:
        scene.process.popen.kill()
        node.destroy_node()


def kill_worker(scene: "Scene") -> float:
    """Return the seconds until another worker has every keyframe and rests."""
    from ros_scene import children

    before = scene.last.keyframes
    (worker,) = children(scene.process.popen.pid)
    os.kill(worker, signal.SIGKILL)

    def back() -> bool:
        last = scene.last
        rests = last.worker_restarts == 1 and last.worker == "idle"
        return bool(rests and last.keyframes == before)

    return seconds(lambda: scene.until(back, 120))


def kill_node(scene: "Scene") -> float:
    """Return the seconds from the start of the next node until it has every keyframe and rests."""
    before = scene.last.keyframes
    scene.process.popen.kill()
    scene.process.popen.wait()
    scene.statuses.clear()

    def again() -> None:
        scene.process = scene.start()
        scene.until(lambda: bool(scene.statuses) and scene.last.keyframes == before, 120)
        scene.until(lambda: scene.last.worker == "idle", 120)

    return seconds(again)


def offboard(folder: Path, keyframes: int) -> dict[str, float]:
    """Cut the link, also within a keyframe, and kill the worker at its other end."""
    from ros_pair import Pair

    pair = Pair(folder)
    try:
        assert pair.camera.wait(60), pair.robot.output
        pair.until(lambda: bool(pair.statuses) and pair.last.worker == "idle", 300)
        pair.drive([0.4 * place for place in range(keyframes)])
        pair.mapped(keyframes)
        return {
            "link_cut_noticed": cut(pair),
            "link_back": restore(pair, [0.4 * (keyframes + place) for place in range(2)]),
            "link_cut_in_a_keyframe": cut_within(pair, 0.4 * (keyframes + 2)),
            "offboard_worker_killed": kill_far_worker(pair),
        }
    finally:
        for process in (pair.robot, pair.worker):
            process.popen.kill()
            process.popen.wait()
        pair.node.destroy_node()
        pair.relay.close()


def cut(pair: "Pair") -> float:
    """Return the seconds until the robot says that the link is broken."""
    pair.relay.cut = True
    return seconds(lambda: pair.until(lambda: pair.last.link == "broken", 30))


def restore(pair: "Pair", places: list[float]) -> float:
    """Return the seconds until what was seen meanwhile is in the map."""
    pair.drive(places)
    time.sleep(CUT_S)
    wanted = pair.kept
    pair.relay.cut = False
    return seconds(lambda: pair.until(lambda: pair.last.keyframes == wanted, 90))


def cut_within(pair: "Pair", place: float) -> float:
    """Return the seconds until a keyframe whose half was lost in half a second's cut is in the map."""
    before = pair.relay.passed["out"]
    pair.drive([place])
    while pair.relay.passed["out"] - before < 2000:
        time.sleep(0.001)
    pair.relay.cut = True
    time.sleep(0.5)
    wanted = pair.kept
    pair.relay.cut = False
    return seconds(lambda: pair.until(lambda: pair.last.keyframes == wanted, 90))


def kill_far_worker(pair: "Pair") -> float:
    """Return the seconds from the start of the next worker until it has every keyframe and rests."""
    pair.mapped(pair.kept)
    wanted = pair.kept
    pair.worker.popen.kill()
    pair.worker.popen.wait()
    pair.until(lambda: pair.last.link == "broken", 30)

    def again() -> None:
        pair.maps.clear()
        pair.worker = pair.start_worker()
        pair.until(lambda: pair.last.worker_restarts == 1 and pair.last.keyframes == wanted, 120)
        pair.until(lambda: bool(pair.maps) and pair.last.worker == "idle", 120)

    return seconds(again)


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keyframes", type=int, default=20)
    options = parser.parse_args()
    keep_alone()
    import rclpy

    from reconx_ros.machine import describe_machine

    rclpy.init()
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("onboard", "offboard")]
        for folder in folders:
            folder.mkdir()
        found = onboard(folders[0], options.keyframes) | offboard(folders[1], options.keyframes)
    figures = {"machine": describe_machine(), "keyframes": options.keyframes, "seconds": found}
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
