"""What goes wrong in the field, done to a real node: one log line each, and mapping goes on."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from reconx_msgs.srv import LoadMap
from ros_camera import DrivingCamera
from ros_helpers import Process, call, listen, ros_arguments, spin_until

from reconx_ros.ros.qos import input_qos, reliable

SETTINGS = """
keyframes: {image_width: 160, max_overlap: 1.0}
splatting: {steps: 20, max_gaussians: 3000, sh_degree: 1}
"""
HOUR = 3600 * 10**9


class Scene:
    """A node and its camera; keyframes are counted."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.folder, self.node = folder, node
        (folder / "settings.yaml").write_text(SETTINGS)
        self.camera = DrivingCamera(node)
        self.statuses: list[MapStatus] = listen(node, MapStatus, "/reconx/status")
        arguments = ros_arguments(
            [],
            output=folder / "map",
            config_file=folder / "settings.yaml",
            min_keyframes=1,
            status_rate=5.0,
            tf_timeout=1.0,
        )
        self.process = Process(["reconx_ros.ros.node", *arguments], folder / "node.log")
        self.y = 0.0

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
            assert time.monotonic() < deadline, self.process.output


@pytest.fixture(scope="module")
def scene(context: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    node = rclpy.create_node("faults")
    made = Scene(tmp_path_factory.mktemp("faults"), node)
    try:
        assert made.camera.wait(60), made.process.output
        made.until(
            lambda: bool(made.statuses) and made.statuses[-1].worker == "idle", 240
        )  # it may compile first
        made.one_more()
        yield made
    finally:
        made.process.popen.kill()
        made.process.popen.wait()
        node.destroy_node()


def children(pid: int) -> list[int]:
    """The child processes of ``pid``."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_killed_worker_is_replaced_and_nothing_is_lost(scene: Scene) -> None:
    scene.one_more()
    before = scene.last.keyframes
    (worker,) = children(scene.process.popen.pid)
    os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    scene.until(lambda: "the worker died (killed by signal 9)" in scene.process.output, 10)
    scene.until(lambda: scene.last.worker_restarts == 1)
    scene.until(lambda: scene.last.worker == "idle" and scene.last.keyframes == before, 60)
    assert time.monotonic() - killed < 60
    scene.one_more()


def test_a_transform_that_is_late_is_waited_for(scene: Scene) -> None:
    before = scene.last.keyframes
    scene.y += 0.4
    stamp = time.time_ns()
    scene.camera.tell_pose(scene.y, stamp - 20_000_000)
    scene.camera.publish(stamp, 77)
    assert not spin_until(scene.node, lambda: scene.last.keyframes > before, 0.5)
    scene.camera.tell_pose(scene.y, stamp + 20_000_000)
    scene.until(lambda: scene.last.keyframes == before + 1, 20)


def test_a_transform_that_never_comes_drops_the_frame_and_is_counted(scene: Scene) -> None:
    before = scene.last.tf_failures
    scene.camera.publish(time.time_ns(), 5)
    scene.until(lambda: scene.last.tf_failures == before + 1, 15)
    assert "ends 0." in scene.process.output


def test_a_publisher_with_the_wrong_quality_of_service_is_named(scene: Scene) -> None:
    odometry = scene.node.create_publisher(PathMessage, "/trajectory", input_qos("best_effort"))
    line = "a publisher of /trajectory offers an incompatible reliability"
    scene.until(lambda: line in scene.process.output, 20)
    scene.node.destroy_publisher(odometry)


def test_odometry_of_the_wrong_frame_changes_nothing(scene: Scene) -> None:
    publisher = scene.node.create_publisher(Odometry, "/odom", reliable())
    message = Odometry(child_frame_id="wheel")
    message.pose.pose.orientation.w = float("nan")
    publisher.publish(message)
    scene.one_more()
    scene.node.destroy_publisher(publisher)


def test_a_damaged_map_is_refused_and_the_map_stays(scene: Scene) -> None:
    bad = scene.folder / "bad"
    bad.mkdir()
    (bad / "map.ply").write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 99\n")
    before = scene.last.keyframes
    answer = call(scene.node, LoadMap, "/reconx/load_map", path=str(bad))
    assert (answer.success, answer.code) == (False, LoadMap.Response.BAD_MAP)
    scene.until(lambda: scene.last.keyframes == before, 5)
    scene.one_more()


def test_when_time_jumps_back_the_map_is_kept(scene: Scene) -> None:
    before = scene.last.keyframes
    jumps = scene.last.time_jumps
    shift = 30 * 10**9
    for index in range(3):  # a bag loops: stamps half a minute back, transforms too
        scene.camera.shoot(scene.y + 0.5 + 0.4 * index, index, time.time_ns() - shift)
        spin_until(scene.node, lambda: False, 0.5)
    scene.until(lambda: "time jumped back by" in scene.process.output, 10)
    scene.until(lambda: scene.last.time_jumps == jumps + 1)
    scene.until(lambda: scene.last.keyframes > before, 30)


def test_stamps_hours_off_are_named(scene: Scene) -> None:
    scene.camera.shoot(scene.y, 3, time.time_ns() + 3 * HOUR)
    line = "image stamps are 3.0 h off the node's clock"
    scene.until(lambda: line in scene.process.output, 10)
    assert any(line in warning for warning in scene.last.warnings)


def test_up_and_down_fifty_times_leaves_nothing_behind(context: None, tmp_path: Path) -> None:
    """Memory and open files after 50 rounds are those after 10."""
    node = rclpy.create_node("cycles")
    process = Process(
        [
            "reconx_ros.ros.node",
            *ros_arguments(["__node:=cycles"], output=tmp_path / "map", autostart=False),
        ],
        tmp_path / "node.log",
    )
    process.wait_for("waiting to be configured")
    client = node.create_client(ChangeState, "/cycles/change_state")
    assert client.wait_for_service(20)

    def change(transition: int) -> None:
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        assert spin_until(node, future.done, 30), process.output
        assert future.result().success, process.output

    def held() -> tuple[int, int, int]:
        proc = Path(f"/proc/{process.popen.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return pages * 4096, len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    early = held()
    for cycle in range(50):
        for transition in (
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
        ):
            change(transition)
        if cycle == 9:
            early = held()
    late = held()
    assert late[0] - early[0] < 12 * 2**20, (early, late)
    assert late[1] <= early[1] + 2
    assert late[2] <= early[2] + 2
    assert children(process.popen.pid) == []
    assert process.interrupt() == 0
    node.destroy_node()
