"""Robot and worker in two processes on two domains, the link between them cut, the worker killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from reconx_msgs.msg import MapStatus
from reconx_msgs.srv import SaveMap
from ros_camera import DrivingCamera
from ros_helpers import Process, call, listen, ros_arguments, spin_until
from ros_relay import Relay
from sensor_msgs.msg import PointCloud2

from reconx_ros.mapping.folder import load_map
from reconx_ros.ros.cloud_message import from_message
from reconx_ros.ros.rows import gaussians_from_rows

SETTINGS = """
keyframes: {image_width: 160, max_overlap: 1.0}
splatting: {steps: 30, max_gaussians: 9000, sh_degree: 1}
"""
MBITS = 20.0


class Pair:
    """A robot's node with a camera before it, a worker on another domain, and the relay between."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "settings.yaml").write_text(SETTINGS)
        domain = int(os.environ["ROS_DOMAIN_ID"])
        self.there = str(101 + domain % 100)
        self.relay = Relay(domain, int(self.there), delay_s=0.025)
        self.node = rclpy.create_node("scene")
        self.camera = DrivingCamera(self.node)
        self.statuses: list[MapStatus] = listen(self.node, MapStatus, "/reconx/status")
        self.points: list[PointCloud2] = listen(self.node, PointCloud2, "/reconx/points")
        self.maps: list[PointCloud2] = listen(self.node, PointCloud2, "/reconx/gaussians", late=True)
        self.worker = self.start_worker()
        robot = ros_arguments(
            [],
            worker="offboard",
            output=folder / "robot",
            config_file=folder / "settings.yaml",
            min_keyframes=1,
            status_rate=5.0,
            map_period=0.2,
            link_bandwidth=MBITS,
        )
        self.robot = Process(["reconx_ros.ros.node", *robot], folder / "robot.log")

    def start_worker(self) -> Process:
        arguments = ros_arguments([], output=self.folder / "worker", link_bandwidth=MBITS)
        return Process(
            ["reconx_ros.ros.worker_node", *arguments],
            self.folder / "worker.log",
            ROS_DOMAIN_ID=self.there,
        )

    @property
    def kept(self) -> int:
        """Keyframes in the robot's journal."""
        return len(list((self.folder / "robot" / "journal").glob("*.keyframe")))

    @property
    def last(self) -> MapStatus:
        return self.statuses[-1]

    def until(self, done: Callable[[], bool], timeout: float = 90.0) -> None:
        assert spin_until(self.node, done, timeout), self.robot.output + self.worker.output

    def drive(self, places: list[float]) -> None:
        """Shoot until the journal has a keyframe from each place."""
        for index, y in enumerate(places):
            before, deadline = self.kept, time.monotonic() + 30
            while self.kept == before:
                self.camera.shoot(y, index)
                assert time.monotonic() < deadline, self.robot.output
                spin_until(self.node, lambda n=before: self.kept > n, 1)

    def mapped(self, count: int) -> None:
        """Wait until that many keyframes are in a map that has come here."""
        self.until(
            lambda: bool(self.statuses) and self.last.keyframes == count and self.last.link_waiting == 0
        )
        self.until(lambda: bool(self.maps) and self.last.worker == "idle")


@pytest.fixture(scope="module")
def pair(context: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("offboard"))
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


def test_keyframes_go_and_points_and_maps_come_back_within_the_bandwidth(pair: Pair) -> None:
    pair.until(lambda: bool(pair.statuses) and pair.last.link == "connected", 60)
    began = time.monotonic()
    pair.drive([0.0, 0.4, 0.8])
    pair.mapped(3)
    pair.until(lambda: len(pair.points) >= 3)
    seconds = time.monotonic() - began
    for way, count in pair.relay.passed.items():
        assert 0 < 8 * count < MBITS * 1e6 * (seconds + 1), way
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
    pair.until(lambda: pair.last.link == "broken", 20)
    assert pair.kept == 5
    assert pair.last.keyframes == 3
    asked = time.monotonic()
    answer = call(pair.node, SaveMap, "/reconx/save_map")
    assert time.monotonic() - asked < 3
    assert not answer.success
    assert "the link to the worker is broken; 5 keyframes are kept" in answer.message
    pair.relay.cut = False
    pair.mapped(5)
    assert pair.last.worker_restarts == 0
    assert "the link is broken" in pair.robot.output


def test_a_link_that_is_cut_in_the_middle_of_a_keyframe_repeats_it(pair: Pair) -> None:
    before = pair.relay.passed["out"]
    pair.drive([2.0])
    while pair.relay.passed["out"] - before < 2000:
        time.sleep(0.001)
    pair.relay.cut = True
    time.sleep(0.5)  # shorter than the link needs to be called broken
    pair.relay.cut = False
    pair.mapped(6)


def test_a_killed_worker_is_told_everything(pair: Pair) -> None:
    pair.worker.popen.send_signal(signal.SIGKILL)
    pair.worker.popen.wait()
    pair.drive([2.4])
    pair.maps.clear()
    pair.worker = pair.start_worker()
    pair.until(lambda: "a new worker is there" in pair.robot.output, 60)
    pair.until(lambda: pair.last.worker_restarts == 1)
    pair.until(lambda: bool(pair.maps), 90)
    pair.mapped(7)


def test_interrupting_the_robot_saves_on_the_worker(pair: Pair) -> None:
    assert pair.robot.interrupt() == 0, pair.robot.output
    assert "7 keyframes saved to" in pair.robot.output
    assert len(load_map(pair.folder / "worker")) > 1000
    assert pair.kept == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_ends_when_it_is_told_to(
    launch: Callable[..., Process], tmp_path: Path, number: signal.Signals
) -> None:
    worker = launch("reconx_ros.ros.worker_node", *ros_arguments([], output=tmp_path / "worker"))
    worker.wait_for("waiting for a robot")
    for _ in range(2):
        worker.popen.send_signal(number)
    assert worker.popen.wait(20) == 0, worker.output
    assert "Traceback" not in worker.output
