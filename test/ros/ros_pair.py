"""Robot and worker in two processes on two domains, for tests and benchmarks that cut the link between."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import rclpy
from reconx_msgs.msg import MapStatus
from ros_camera import DrivingCamera
from ros_helpers import Process, listen, ros_arguments, spin_until
from ros_relay import Relay
from sensor_msgs.msg import PointCloud2

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
                spin_until(self.node, partial(self._keeps_more_than, before), 1)

    def _keeps_more_than(self, count: int) -> bool:
        return self.kept > count

    def mapped(self, count: int) -> None:
        """Wait until that many keyframes are in a map that has come here."""
        self.until(
            lambda: bool(self.statuses) and self.last.keyframes == count and self.last.link_waiting == 0
        )
        self.until(lambda: bool(self.maps) and self.last.worker == "idle")
