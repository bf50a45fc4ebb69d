"""Real processes over Fast DDS, on a domain of their own."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(Path(__file__).parent))  # ros_helpers and ros_frames
rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("reconx_msgs", reason="reconx_msgs is not built (make setup)")


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A domain for this test process alone, and the shipped Fast DDS profile."""
    values = {
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml"),
        "ROS_HOME": str(tmp_path_factory.mktemp("ros_home")),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="session")
def context(ros_environment: None) -> Iterator[None]:
    """ROS in this process."""
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def ros(context: None) -> Iterator[Any]:
    """A node of this process: the third party that publishes and listens."""
    node = rclpy.create_node("test")
    yield node
    node.destroy_node()


@pytest.fixture
def launch(tmp_path: Path, ros_environment: None) -> Iterator[Callable[..., Any]]:
    """Start ``python -m MODULE ...``; what still runs at the end is killed."""
    from ros_helpers import Process

    started: list[Process] = []

    def start(*arguments: str) -> Process:
        process = Process(list(arguments), tmp_path / f"process{len(started)}.log")
        started.append(process)
        return process

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()


@pytest.fixture(params=["disk", "memory"])
def journal_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where a journal is: on a disk, or, without one, in memory."""
    return tmp_path / "journal" if request.param == "disk" else None


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Any]:
    """A worker process that is killed at the end."""
    from ros_bench import Bench

    made = Bench(tmp_path)
    yield made
    made.worker.kill()
