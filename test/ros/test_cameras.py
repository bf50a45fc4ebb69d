"""Two cameras of one robot, each with its own topics and parameters, in one map."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from ros_camera import DrivingCamera
from ros_helpers import Process, listen, ros_arguments, spin_until

from reconx_ros.ros.parameters import camera_names

SETTINGS = """
keyframes: {image_width: 160, max_overlap: 1.0}
splatting: {steps: 20, max_gaussians: 3000, sh_degree: 1}
"""
NODE = "reconx_ros.ros.node"


def test_names_come_from_one_word_with_commas() -> None:
    assert camera_names("") == ("",)
    assert camera_names(" front, rear ,") == ("front", "rear")


def test_keyframes_of_both_are_in_the_map_and_a_silent_one_is_named(
    ros: Node, launch: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    parameters = {"cameras": "front,rear", "front.depth_mode": "required", "rear.image_transport": "raw"}
    node = launch(
        NODE,
        *ros_arguments(
            [],
            output=tmp_path / "map",
            config_file=tmp_path / "settings.yaml",
            min_keyframes=1,
            status_rate=5.0,
            **parameters,
        ),
    )
    statuses = listen(ros, MapStatus, "/reconx/status")
    cameras = {name: DrivingCamera(ros, f"/{name}") for name in ("front", "rear")}
    assert all(camera.wait() for camera in cameras.values()), node.output
    ready = spin_until(ros, lambda: bool(statuses) and statuses[-1].worker == "idle", 480)
    assert ready, node.output  # it may compile first
    node.wait_for("front/image: /front/image or /front/image/compressed")
    node.wait_for("rear/image: /rear/image, ")

    def kept(name: str) -> int:
        return len(list((tmp_path / "map" / "journal").glob(f"{name}_*.keyframe")))

    for index, (name, camera) in enumerate([*cameras.items(), *cameras.items()]):
        before, deadline = kept(name), time.monotonic() + 30
        while kept(name) == before:
            assert time.monotonic() < deadline, node.output
            camera.shoot(0.4 * index, index)
            spin_until(ros, lambda n=name, b=before: kept(n) > b, 1)
    assert spin_until(ros, lambda: bool(statuses) and statuses[-1].keyframes == 4, 60), node.output
    assert statuses[-1].frames_received >= 4
    line = "no front/image and front/camera_info and front/depth and rear/image"
    node.wait_for(line)
    assert node.interrupt() == 0
    node.wait_for("4 keyframes saved to")


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"cameras": "front,front"}, "names are distinct words"),
        ({"cameras": "fr/ont"}, "names are distinct words"),
        ({"cameras": "front", "front.depth_mode": "deep"}, "front.depth_mode = 'deep' is unknown"),
    ],
)
def test_bad_blocks_are_one_line(
    launch: Callable[..., Process], tmp_path: Path, parameters: dict[str, str], line: str
) -> None:
    node = launch(NODE, *ros_arguments([], output=tmp_path / "map", **parameters))
    assert node.popen.wait(60) == 2
    node.wait_for(line)
    assert "Traceback" not in node.output
