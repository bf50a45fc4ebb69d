"""`reconx demo` on a small recording: player, node and listener are real processes over DDS."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from reconx_ros.mapping.folder import load
from reconx_ros.simulation.simulate import simulate


def test_the_demo_ends_with_a_map_and_its_figures(tmp_path: Path) -> None:
    """A recording of small steps, so that not every frame becomes a keyframe."""
    simulate(tmp_path / "room0", frames=40, rate_hz=6, width=160, height=120)
    command = [sys.executable, "-m", "reconx_ros.cli.main", "demo", "-o", str(tmp_path), "--settle", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr + (tmp_path / "node.log").read_text()
    result = load(tmp_path)
    assert len(result.gaussians) > 1000
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["views"]
    assert figures["psnr_covered"] > 15
    assert (tmp_path / "pictures" / "sheet.png").is_file()
    assert "map.ply" in done.stdout
    used = set(result.report["keyframes"])
    assert not used & set(figures["views"])


def interrupted(output: Path, stage: str) -> str:
    """Run the demo, send SIGINT when ``stage`` is first told of, and return what it said."""
    command = [sys.executable, "-m", "reconx_ros.cli.main", "demo", "-o", str(output)]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert demo.stderr is not None
    told = ""
    for line in demo.stderr:
        told += line
        if line.startswith(stage):
            break
    demo.send_signal(signal.SIGINT)
    told += demo.stderr.read()
    assert demo.wait(60) == 130, told
    assert "Traceback" not in told
    return told


def test_a_ctrl_c_before_there_is_a_map_is_no_error(tmp_path: Path) -> None:
    assert interrupted(tmp_path, "scene").splitlines()[-1].startswith("reconx: interrupted")


def test_a_ctrl_c_while_it_maps_is_no_error(tmp_path: Path) -> None:
    simulate(tmp_path / "room0", frames=12, rate_hz=3, width=160, height=120)
    told = interrupted(tmp_path, "play")
    assert told.splitlines()[-1].startswith("reconx: interrupted")
