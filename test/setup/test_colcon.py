"""A plain `colcon build`, as on a robot, builds both packages of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("CMakeLists.txt", "package.xml", "config", "launch", "msg", "reconx_ros", "scripts")

SEARCH_PATH = f"{sys.prefix}/bin:{os.environ['PATH']}"

pytestmark = pytest.mark.skipif(
    shutil.which("colcon", path=SEARCH_PATH) is None,
    reason="colcon is not installed (requirements/dev.txt)",
)


def build_environment() -> dict[str, str]:
    """Our variables, with the ROS of this Python environment where none is sourced."""
    variables = {**os.environ, "PATH": SEARCH_PATH}
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        variables.setdefault(name, sys.prefix)
    return variables


def run(*command: str | Path, cwd: Path) -> str:
    variables, pipe = build_environment(), subprocess.PIPE
    done = subprocess.run(
        command, cwd=cwd, env=variables, stdout=pipe, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colcon workspace that holds a copy of the repository, built."""
    workspace = tmp_path_factory.mktemp("workspace")
    package = workspace / "src/reconx_ros"
    package.mkdir(parents=True)
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, package / name)
    run("colcon", "build", "--event-handlers", "console_direct+", cwd=workspace)
    return workspace


def in_workspace(workspace: Path, code: str) -> str:
    """What Python code prints where the workspace is sourced."""
    return run("sh", "-c", '. install/setup.sh && exec python -c "$0"', code, cwd=workspace).strip()


def test_both_packages_are_in_the_ament_index(workspace: Path) -> None:
    code = (
        "from ament_index_python.packages import get_package_prefix\n"
        "print(get_package_prefix('reconx_ros'), get_package_prefix('reconx_msgs'))"
    )
    assert in_workspace(workspace, code).split() == 2 * [str(workspace / "install/reconx_ros")]


def test_both_packages_import_from_the_workspace(workspace: Path) -> None:
    code = "import reconx_ros, reconx_msgs; print(reconx_ros.__file__, reconx_msgs.__file__)"
    for file in in_workspace(workspace, code).split():
        assert Path(file).is_relative_to(workspace / "install/reconx_ros")


def test_messages_of_the_workspace_serialize(workspace: Path) -> None:
    code = (
        "from rclpy.serialization import deserialize_message, serialize_message\n"
        "from reconx_msgs.msg import MapStatus\n"
        "sent = MapStatus(state='mapping', gaussians=7, stage_seconds=[0.5, 2.0])\n"
        "received = deserialize_message(serialize_message(sent), MapStatus)\n"
        "print(received == sent, received.gaussians, list(received.stage_seconds))"
    )
    assert in_workspace(workspace, code) == "True 7 [0.5, 2.0]"


def test_executables_and_shared_files_are_installed(workspace: Path) -> None:
    prefix = workspace / "install/reconx_ros"
    for name in ("reconx", "reconx_node", "reconx_worker"):
        assert os.access(prefix / "lib/reconx_ros" / name, os.X_OK), name
    for folder in ("launch", "config"):
        here = {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
        assert here <= {path.name for path in (prefix / "share/reconx_ros" / folder).iterdir()}
    presets = next(prefix.glob("l*/**/site-packages/reconx_ros/presets"))
    assert {path.name for path in presets.glob("*.yaml")} == {"fast.yaml", "balanced.yaml", "quality.yaml"}
    out = run(
        "sh",
        "-c",
        ". install/setup.sh && exec install/reconx_ros/lib/reconx_ros/reconx --version",
        cwd=workspace,
    )
    assert out.startswith("reconx")


def test_msg_folder_is_a_package_of_its_own(workspace: Path) -> None:
    listed = run("colcon", "list", "--base-paths", "src/reconx_ros/msg", cwd=workspace)
    assert listed.split() == ["reconx_msgs", "src/reconx_ros/msg", "(ros.ament_cmake)"]


def test_repository_is_one_package_to_a_workspace(workspace: Path) -> None:
    assert run("colcon", "list", "--names-only", cwd=workspace).split() == ["reconx_ros"]
