"""Set up .venv: run by scripts/setup.sh with any supported Python, standard library only.

Each step is skipped when its stamp in .venv/stamps says that it was done with the same inputs, so a second
run takes a moment, and a run that was interrupted goes on where it stopped.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console import SetupError, fail
from interfaces import install_interfaces
from packages import install_packages, install_project
from ros import Ros, find_ros
from ros_wheels import patch_ros_wheels
from stamps import Stamps, digest_of
from system import install_system_packages
from venv_python import VenvPython, prepare_venv

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Set everything up; return the exit code."""
    try:
        with _only_one_at_a_time(ROOT):
            _set_up(VenvPython(ROOT / ".venv"))
    except SetupError as error:
        return fail(error)
    except KeyboardInterrupt:
        fail(SetupError("interrupted; the next run goes on from here"))
        return 130
    return 0


def _set_up(venv: VenvPython) -> None:
    """Do all steps, in the order in which each needs those before it."""
    stamps = Stamps(venv.prefix / "stamps")
    ros = find_ros(os.environ, venv.prefix)
    install_system_packages()
    prepare_venv(venv, stamps, ros)
    requirements = ROOT / ros.requirements
    install_packages(ROOT, venv, stamps, requirements)
    install_project(ROOT, venv, stamps)
    if not ros.sourced:
        patch_ros_wheels(venv, stamps, requirements)
    for package in _interface_packages(ros):
        install_interfaces(package, venv, stamps, built_for=digest_of(requirements, salt=ros.name))


def _interface_packages(ros: Ros) -> list[Path]:
    """Return the interface packages to build: ours, and tf2_msgs where ROS lacks it."""
    tf2_msgs = [] if ros.has_package("tf2_msgs") else [ROOT / "scripts/interfaces/tf2_msgs"]
    return [ROOT / "msg", *tf2_msgs]


@contextmanager
def _only_one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other set-up runs in a folder, and keep others waiting meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
