"""What goes wrong in the field, done to a real node: one log line each, and mapping goes on."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from reconx_msgs.srv import LoadMap, SaveMap
from ros_helpers import Process, call, listen, ros_arguments, spin_until
from ros_scene import Scene, children
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from reconx_ros.ros.qos import input_qos, reliable

HOUR = 3600 * 10**9


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


def test_a_killed_worker_is_replaced_and_nothing_is_lost(scene: Scene) -> None:
    scene.one_more()
    before = scene.last.keyframes
    (worker,) = children(scene.process.popen.pid)
    os.kill(worker, signal.SIGKILL)
    scene.until(lambda: "the worker died (killed by signal 9)" in scene.process.output, 30)
    scene.until(lambda: scene.last.worker_restarts == 1)
    scene.until(lambda: scene.last.worker == "idle" and scene.last.keyframes == before, 60)
    scene.one_more()


def test_a_second_node_does_not_get_the_same_folder(scene: Scene, tmp_path: Path) -> None:
    arguments = ros_arguments(["__node:=second"], output=scene.folder / "map")
    second = Process(["reconx_ros.ros.node", *arguments], tmp_path / "second.log")
    assert second.popen.wait(60) == 2, second.output
    second.wait_for(f"is in use by process {scene.process.popen.pid}; give each node")
    assert "Traceback" not in second.output
    scene.one_more()


def test_a_transform_that_is_late_is_waited_for(scene: Scene) -> None:
    before = scene.last.keyframes
    scene.y += 0.4
    stamp = time.time_ns()
    scene.camera.tell_pose(scene.y, stamp - 20_000_000)
    scene.camera.publish(stamp, 77)
    assert not spin_until(scene.node, lambda: scene.last.keyframes > before, 0.5)
    scene.camera.tell_pose(scene.y, stamp + 20_000_000)
    scene.until(lambda: scene.last.keyframes == before + 1)


def test_a_transform_that_never_comes_drops_the_frame_and_is_counted(scene: Scene) -> None:
    before = scene.last.tf_failures
    scene.camera.publish(time.time_ns(), 5)
    scene.until(lambda: scene.last.tf_failures == before + 1, 30)
    why = r"transform odom -> base_link ends \d+\.\d+ s before the stamp"
    scene.until(lambda: bool(re.search(why, scene.process.output)))
    line = "frames a second have no pose"
    scene.until(lambda: any(line in warning for status in scene.statuses for warning in status.warnings))
    scene.until(lambda: not scene.last.warnings, 30)


def test_a_camera_that_falls_silent_is_a_warning_until_it_is_back(scene: Scene) -> None:
    levels: list[DiagnosticArray] = listen(scene.node, DiagnosticArray, "/diagnostics")
    scene.until(
        lambda: any("no image and camera_info and depth in 5 s" in w for w in scene.last.warnings), 15
    )
    scene.until(lambda: bool(levels) and levels[-1].status[0].level == DiagnosticStatus.WARN, 30)
    assert levels[-1].status[0].message == scene.last.warnings[0]
    scene.one_more()
    scene.until(lambda: not scene.last.warnings and levels[-1].status[0].level == DiagnosticStatus.OK, 30)


def test_a_publisher_with_the_wrong_quality_of_service_is_named(scene: Scene) -> None:
    odometry = scene.node.create_publisher(PathMessage, "/trajectory", input_qos("best_effort"))
    line = "a publisher of /trajectory offers an incompatible reliability: nothing comes from it; change"
    scene.until(lambda: line in scene.process.output)
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
    scene.until(lambda: scene.last.keyframes == before, 30)
    scene.one_more()


def test_after_a_map_is_loaded_a_place_that_was_seen_is_new(scene: Scene) -> None:
    saved = call(scene.node, SaveMap, "/reconx/save_map")
    assert saved.success, saved.message
    assert call(scene.node, LoadMap, "/reconx/load_map", path=saved.path).success
    points = listen(scene.node, PointCloud2, "/reconx/points")
    for _ in range(20):  # where the camera was when the last keyframe was taken
        scene.camera.shoot(scene.y, int(10 * scene.y))
        if spin_until(scene.node, lambda: bool(points), 2):
            break
    assert points
    folder = scene.folder / "map" / "journal"
    assert len(list(folder.glob("*.keyframe"))) == 1  # what the loaded map replaced is not kept
    assert call(scene.node, Trigger, "/reconx/reset").success
    scene.until(lambda: scene.last.keyframes == 0)
    scene.until(lambda: not list(folder.glob("*.keyframe")))
    scene.one_more()


def test_when_time_jumps_back_the_map_is_kept(scene: Scene) -> None:
    before = scene.last.keyframes
    jumps = scene.last.time_jumps
    shift = 30 * 10**9
    for index in range(3):  # a bag loops: stamps half a minute back, transforms too
        scene.camera.shoot(scene.y + 0.5 + 0.4 * index, index, time.time_ns() - shift)
        spin_until(scene.node, lambda: False, 0.5)
    scene.until(lambda: "time jumped back by" in scene.process.output, 30)
    scene.until(lambda: scene.last.time_jumps == jumps + 1)
    scene.until(lambda: scene.last.keyframes > before, 30)


def test_stamps_hours_off_are_named(scene: Scene) -> None:
    scene.camera.shoot(scene.y, 3, time.time_ns() + 3 * HOUR)
    line = "image stamps are 3.0 h off the node's clock"
    scene.until(lambda: line in scene.process.output, 30)
    scene.until(lambda: any(line in warning for warning in scene.last.warnings), 30)


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
