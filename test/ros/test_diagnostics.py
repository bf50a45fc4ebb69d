"""Status and diagnostics of a real node that is fed at a known rate."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from ros_camera import DrivingCamera
from ros_helpers import Process, listen, ros_arguments, spin_until

SETTINGS = """
keyframes: {image_width: 160, max_overlap: 1.0}
splatting: {steps: 20, max_gaussians: 3000, sh_degree: 1}
"""
HZ = 10.0

TOLD = (
    "image rate (Hz)",
    "depth rate (Hz)",
    "keyframe rate (Hz)",
    "map rate (Hz)",
    "stamp age (s)",
    "queue",
    "TF failures",
    "time jumps",
    "keyframes",
    "points",
    "gaussians",
    "submaps",
    "pruned: transparent",
    "pruned: needles",
    "pruned: floaters",
    "stage geometry (s)",
    "stage splatting (s)",
    "memory (MB)",
    "worker memory (MB)",
    "GPU memory (MB)",
    "link",
    "link out (kbit/s)",
    "link in (kbit/s)",
    "link waiting",
    "worker restarts",
    "dropped: too_close",
)
"""What a person who looks after the robot wants to see."""


def stamps(messages: list[MapStatus] | list[DiagnosticArray]) -> list[float]:
    return [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in messages]


def test_both_come_once_a_second_and_tell_everything(
    ros: Node, launch: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    values = {"output": tmp_path / "map", "config_file": tmp_path / "settings.yaml", "min_keyframes": 1}
    node = launch("reconx_ros.ros.node", *ros_arguments([], **values))
    statuses = listen(ros, MapStatus, "/reconx/status")
    arrays = listen(ros, DiagnosticArray, "/diagnostics")
    camera = DrivingCamera(ros)
    assert camera.wait(60), node.output
    assert spin_until(ros, lambda: bool(statuses) and statuses[-1].worker == "idle", 480), node.output
    begun, shot = time.monotonic(), 0

    def mapped() -> bool:
        return statuses[-1].map_version > 0 and statuses[-1].worker == "idle"

    while (seconds := time.monotonic() - begun) < 8 or not mapped():  # no silence, which is a warning
        assert seconds < 90, node.output
        camera.shoot(0.0 if shot < 10 else 0.4, shot)  # stands still after the second keyframe
        shot += 1
        spin_until(ros, lambda: time.monotonic() - begun >= shot / HZ, 1)  # noqa: B023
    busy = [s for s in statuses[-6:] if s.image_rate_hz > 0]
    assert len(busy) >= 5
    assert float(np.median([s.image_rate_hz for s in busy])) == pytest.approx(HZ, rel=0.4)
    assert float(np.median([s.depth_rate_hz for s in busy])) == pytest.approx(HZ, rel=0.4)
    both = [stamp for stamp in stamps(arrays)[:-1] if stamp >= stamps(statuses)[0]]
    assert set(both) <= set(stamps(statuses))  # of one look each
    assert np.median(np.diff(stamps(statuses))) == pytest.approx(1.0, abs=0.2)
    (entry,) = arrays[-1].status
    told = {pair.key: pair.value for pair in entry.values}
    assert set(TOLD) <= set(told), set(TOLD) - set(told)
    assert (entry.level, entry.message) == (DiagnosticStatus.OK, "mapping")
    assert int(told["keyframes"]) == statuses[-1].keyframes == 2
    assert int(told["gaussians"]) > 100
    assert int(told["dropped: too_close"]) > 20
    assert int(told["memory (MB)"]) > 20
    assert int(told["worker memory (MB)"]) > 100
    assert told["link"] == "onboard"
    assert told["geometry"] == "rgbd: 1 of 1 keyframes have depth and a pose"  # when it was chosen
    assert all(int(value) >= 0 for key, value in told.items() if key.startswith("pruned: "))
    assert any(s.keyframe_rate_hz > 0 for s in statuses)
    assert any(s.map_rate_hz > 0 for s in statuses)
    assert max(s.stamp_age_s for s in busy) < 2.0
    assert node.interrupt() == 0
