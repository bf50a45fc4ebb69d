"""A real node before a driving camera, for tests and benchmarks that do things to it."""

import time
from pathlib import Path
from typing import Any

from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from ros_camera import DrivingCamera
from ros_helpers import Process, listen, ros_arguments, spin_until

SETTINGS = """
keyframes: {image_width: 160, max_overlap: 1.0}
splatting: {steps: 20, max_gaussians: 3000, sh_degree: 1}
"""


class Scene:
    """A node and its camera; keyframes are counted."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.folder, self.node = folder, node
        (folder / "settings.yaml").write_text(SETTINGS)
        self.camera = DrivingCamera(node)
        self.statuses: list[MapStatus] = listen(node, MapStatus, "/reconx/status")
        self.process = self.start()
        self.y = 0.0

    def start(self) -> Process:
        """Start the node, which goes on with the keyframes that an earlier one left."""
        arguments = ros_arguments(
            [],
            output=self.folder / "map",
            config_file=self.folder / "settings.yaml",
            min_keyframes=1,
            status_rate=5.0,
            tf_timeout=3.0,
        )
        return Process(["reconx_ros.ros.node", *arguments], self.folder / "node.log")

    @property
    def last(self) -> MapStatus:
        return self.statuses[-1]

    def until(self, done: Any, timeout: float = 60.0) -> None:  # noqa: ANN401
        assert spin_until(self.node, done, timeout), self.process.output

    def one_more(self) -> None:
        """Take one more keyframe, further on."""
        before = self.last.keyframes if self.statuses else 0
        self.y += 0.4
        deadline = time.monotonic() + 60
        while not self.statuses or self.last.keyframes <= before:
            self.camera.shoot(self.y, int(10 * self.y))
            spin_until(self.node, lambda: bool(self.statuses) and self.last.keyframes > before, 2)
            late = f"{before} keyframes, then {self.last}\n{self.process.output}"
            assert time.monotonic() < deadline, late


def children(pid: int) -> list[int]:
    """The child processes of ``pid``."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
