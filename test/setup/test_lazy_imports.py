"""What must start quickly, or share a machine with a camera driver, imports nothing heavy."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

HEAVY = {
    "torch",
    "open3d",
    "numba",
    "llvmlite",
    "matplotlib",
    "diffusers",
    "transformers",
    "pycolmap",
    "viser",
}


def imported_by(*arguments: str) -> set[str]:
    """Return the top-level names of all modules that a Python process imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_command_line_help_imports_nothing_heavy(flag: str) -> None:
    modules = imported_by("-m", "reconx_ros.cli.main", flag)
    assert "click" in modules
    assert not modules & (HEAVY | {"numpy", "cv2", "scipy", "pydantic", "rclpy"})


def test_node_imports_nothing_heavy() -> None:
    modules = imported_by("-c", "import reconx_ros.ros.node")
    assert "rclpy" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize(
    "module",
    [
        *("reconx_ros.config", "reconx_ros.camera", "reconx_ros.keyframes.keyframe"),
        *("reconx_ros.sources.protocol", "reconx_ros.geometry.protocol", "reconx_ros.splatting.gaussians"),
    ],
)
def test_shared_contracts_import_nothing_heavy(module: str) -> None:
    modules = imported_by("-c", f"import {module}")
    assert not modules & (HEAVY | {"rclpy"})


def test_the_heavy_names_exist_here() -> None:
    """A name that cannot be imported at all would make the tests above say nothing."""
    assert not [name for name in HEAVY if find_spec(name) is None]
