"""Robot and worker in two processes on two domains, the link between them cut, the worker killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from reconx_msgs.action import Reconstruct
from reconx_msgs.srv import SaveMap
from ros_helpers import Process, call, listen, ros_arguments
from ros_pair import MBITS, Pair
from ros_scene import children

from reconx_ros.mapping.folder import load_map
from reconx_ros.ros.cloud_message import from_message
from reconx_ros.ros.rows import gaussians_from_rows


def of_another_run(folder: Path) -> Path:
    """What a node that ran on the worker's machine left."""
    return folder / "worker" / "journal" / "000000.keyframe"


@pytest.fixture(scope="module")
def pair(context: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("offboard")
    of_another_run(folder).parent.mkdir(parents=True)
    of_another_run(folder).touch()
    made = Pair(folder)
    try:
        assert made.camera.wait(60), made.robot.output
        made.until(
            lambda: bool(made.statuses) and made.statuses[-1].worker == "idle", 240
        )  # it may compile first
        yield made
    finally:
        for process in (made.robot, made.worker):
            process.popen.kill()
            process.popen.wait()
        made.node.destroy_node()
        made.relay.close()


def map_values(told: list[DiagnosticArray]) -> list[str]:
    """Every value of the newest diagnostics."""
    return [pair.value for pair in told[-1].status[0].values] if told else []


def test_keyframes_go_and_points_and_maps_come_back_within_the_bandwidth(pair: Pair) -> None:
    told = listen(pair.node, DiagnosticArray, "/diagnostics")
    pair.until(lambda: bool(pair.statuses) and pair.last.link == "connected", 60)
    began = time.monotonic()
    pair.drive([0.0, 0.4, 0.8])
    pair.mapped(3)
    pair.until(lambda: len(pair.points) >= 3)
    seconds = time.monotonic() - began
    for way, count in pair.relay.passed.items():
        assert 0 < 8 * count < MBITS * 1e6 * (seconds + 1), way
    pair.until(lambda: "rgbd: 1 of 1 keyframes have depth and a pose" in map_values(told), 30)
    rows = from_message(pair.points[0])
    assert pair.points[0].header.frame_id == "camera_optical"
    # Half a millimetre of rounding on the wall at 2 m and the box at 1.5 m.
    assert (np.minimum(np.abs(rows["z"] - 2), np.abs(rows["z"] - 1.5)) < 1e-3).all()
    gaussians = gaussians_from_rows(from_message(pair.maps[-1]))
    assert len(gaussians) > 1000
    assert np.isfinite(gaussians.log_scales).all()


def test_what_is_seen_while_the_link_is_cut_is_in_the_map_when_it_is_back(pair: Pair) -> None:
    pair.relay.cut = True
    pair.drive([1.2, 1.6])
    pair.until(lambda: pair.last.link == "broken")
    assert pair.kept == 5
    assert pair.last.keyframes == 3
    asked = time.monotonic()
    answer = call(pair.node, SaveMap, "/reconx/save_map")
    assert time.monotonic() - asked < 10
    assert not answer.success
    assert "the link to the worker is broken; 5 keyframes are kept" in answer.message
    pair.relay.cut = False
    pair.mapped(5)
    assert pair.last.worker_restarts == 0
    pair.robot.wait_for("the link is broken")


def test_a_link_that_is_cut_in_the_middle_of_a_keyframe_repeats_it(pair: Pair) -> None:
    before = pair.relay.passed["out"]
    pair.drive([2.0])
    while pair.relay.passed["out"] - before < 2000:
        time.sleep(0.001)
    pair.relay.cut = True
    time.sleep(0.5)  # shorter than the link needs to be called broken
    pair.relay.cut = False
    pair.mapped(6)


def test_a_goal_is_cancelled_while_keyframes_come(pair: Pair) -> None:
    """More keyframes than the link holds at a time come while the worker is at a goal."""
    client = ActionClient(pair.node, Reconstruct, "/reconx/reconstruct")
    assert client.wait_for_server(20)
    told: list[object] = []
    sent = client.send_goal_async(Reconstruct.Goal(steps=1_000_000), told.append)
    pair.until(sent.done)
    pair.until(lambda: len(told) >= 2, 60)
    pair.drive([2.0 + 0.4 * step for step in range(1, 21)])
    pair.until(sent.result().cancel_goal_async().done, 30)
    finished = sent.result().get_result_async()
    pair.until(finished.done, 60)
    client.destroy()
    assert finished.result().result.code == Reconstruct.Result.CANCELED
    pair.mapped(26)


def test_a_worker_process_that_dies_there_is_said_here(pair: Pair) -> None:
    (process,) = children(pair.worker.popen.pid)
    os.kill(process, signal.SIGKILL)
    pair.robot.wait_for("the worker died (killed by signal 9); 26 keyframes are kept; a new one starts in")
    pair.mapped(26)


def test_a_killed_worker_is_told_everything(pair: Pair) -> None:
    pair.worker.popen.send_signal(signal.SIGKILL)
    pair.worker.popen.wait()
    pair.drive([11.0])
    pair.maps.clear()
    pair.worker = pair.start_worker()
    pair.until(lambda: "a new worker is there" in pair.robot.output, 60)
    pair.until(lambda: pair.last.worker_restarts == 1)
    pair.until(lambda: bool(pair.maps), 90)
    pair.mapped(27)


def test_an_interrupted_worker_saves_first(pair: Pair) -> None:
    (pair.folder / "worker" / "map.ply").unlink()  # of the goal
    assert pair.worker.interrupt() == 0, pair.worker.output
    pair.worker.wait_for("27 keyframes saved to")
    assert len(load_map(pair.folder / "worker")) > 1000
    pair.maps.clear()
    pair.worker = pair.start_worker()
    pair.until(lambda: pair.last.worker_restarts == 2, 60)
    pair.until(lambda: bool(pair.maps), 90)
    pair.mapped(27)


def test_a_map_is_saved_where_it_is_asked_for_on_the_workers_machine(pair: Pair) -> None:
    assert call(pair.node, SaveMap, "/reconx/save_map").path == str(pair.folder / "worker")
    asked = call(pair.node, SaveMap, "/reconx/save_map", path=str(pair.folder / "asked"))
    assert asked.path == str(pair.folder / "asked")
    assert len(load_map(pair.folder / "asked")) > 1000


def test_interrupting_the_robot_saves_on_the_worker(pair: Pair) -> None:
    assert pair.robot.interrupt() == 0, pair.robot.output
    pair.robot.wait_for("27 keyframes saved to")
    assert len(load_map(pair.folder / "worker")) > 1000
    assert pair.kept == 0
    assert of_another_run(pair.folder).is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_ends_when_it_is_told_to(
    launch: Callable[..., Process], tmp_path: Path, number: signal.Signals
) -> None:
    worker = launch("reconx_ros.ros.worker_node", *ros_arguments([], output=tmp_path / "worker"))
    worker.wait_for("waiting for a robot")
    arguments = ros_arguments(["__node:=second"], output=tmp_path / "worker")
    second = launch("reconx_ros.ros.worker_node", *arguments)
    assert second.popen.wait(60) == 2
    second.wait_for(f"is in use by process {worker.popen.pid}; give each node")
    for _ in range(2):
        worker.popen.send_signal(number)
    assert worker.popen.wait(60) == 0, worker.output
    assert "Traceback" not in worker.output
