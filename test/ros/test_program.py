"""Arguments of the programs: help, and one line for what cannot be."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ros_helpers import Process, ros_arguments

NODE, WORKER = "reconx_ros.ros.node", "reconx_ros.ros.worker_node"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("program", "named"), [(NODE, "map_frame = 'map'"), (WORKER, "link_bandwidth = 0.0")]
)
def test_help_says_every_parameter(ros_environment: None, program: str, named: str) -> None:
    done = run(program, "--help")
    assert done.returncode == 0
    assert named in done.stdout
    assert "--ros-args" in done.stdout


def test_what_is_misspelt_for_the_worker_is_named(launch: Callable[..., Process], tmp_path: Path) -> None:
    worker = launch(WORKER, *ros_arguments([], output=tmp_path, link_bandwith=5.0))
    worker.wait_for("parameter 'link_bandwith' is unknown and ignored; did you mean link_bandwidth?")
    assert worker.interrupt() == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((NODE, "--bag", "x"), "reconx_node: argument '--bag' is unknown"),
        ((NODE, "--ros-args", "--params-file", "/no.yaml"), "reconx_node: arguments for ROS: "),
        (
            (WORKER, "--ros-args", "-p", "link_bandwidth:=-2"),
            "reconx_worker: parameter link_bandwidth = -2",
        ),
    ],
)
def test_what_cannot_be_is_one_line(ros_environment: None, arguments: tuple[str, ...], line: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr
