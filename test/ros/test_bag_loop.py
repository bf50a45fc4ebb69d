"""A recording played in a loop through the real node: the map is kept, and nothing is mapped twice."""

from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from ros_helpers import Process, listen, ros_arguments, spin_until

from reconx_ros.mapping.folder import load

REMAPPED = [
    "image:=/camera/color/image_raw",
    "camera_info:=/camera/color/camera_info",
    "depth:=/camera/aligned_depth_to_color/image_raw",
    "depth_camera_info:=/camera/aligned_depth_to_color/camera_info",
]
SETTINGS = """
keyframes: {image_width: 160}
splatting: {steps: 20, max_gaussians: 5000, sh_degree: 1}
"""


def test_three_rounds_are_one_map(
    ros: Node, launch: Callable[..., Process], small_bag: Path, tmp_path: Path
) -> None:
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    values = {"output": tmp_path / "map", "config_file": tmp_path / "settings.yaml", "min_keyframes": 1}
    statuses = listen(ros, MapStatus, "/reconx/status")
    node = launch(
        "reconx_ros.ros.node", *ros_arguments(REMAPPED, use_sim_time=True, status_rate=5.0, **values)
    )
    idle = spin_until(ros, lambda: bool(statuses) and statuses[-1].worker == "idle", 480)
    assert idle, node.output  # it may compile first
    player = launch(
        "reconx_ros.ros.player", str(small_bag), "--clock", "--loop", "--wait-for-subscribers", "7"
    )

    def first(jumps: int) -> MapStatus:
        """The first status after so many jumps."""
        assert spin_until(ros, lambda: statuses[-1].time_jumps >= jumps, 60), node.output
        return next(s for s in statuses if s.time_jumps >= jumps)

    first(1)
    second_round = first(2)
    player.popen.kill()
    assert spin_until(ros, lambda: statuses[-1].worker == "idle" and not statuses[-1].queue, 60)
    last = statuses[-1]
    node.wait_for("time jumped back by")
    # The keyframes of round one do for all; frames were dropped for being known, none for its pose but
    # those that were in flight at a jump.
    counts = [s.keyframes for s in statuses]
    assert counts == sorted(counts)
    assert 3 <= second_round.keyframes <= last.keyframes <= 10
    drops = dict(zip(last.drop_reasons, last.drop_counts, strict=True))
    assert drops.get("too_close", 0) + drops.get("redundant", 0) >= 5
    assert last.tf_failures <= 4
    assert "Traceback" not in node.output
    assert node.interrupt() == 0, node.output
    saved = load(tmp_path / "map")
    assert len(saved.gaussians) > 500
    assert len(saved.report["keyframes"]) == last.keyframes == len(set(saved.report["keyframes"]))
