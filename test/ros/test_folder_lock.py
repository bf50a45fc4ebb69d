"""Two nodes never share an output folder; what a killed one held is free."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconx_ros.errors import ConfigError
from reconx_ros.ros.folder_lock import FolderLock

HOLD = (
    "import sys; from pathlib import Path; from reconx_ros.ros.folder_lock import FolderLock\n"
    "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); input()"
)


def test_what_another_process_holds_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "map"
    command = [sys.executable, "-c", HOLD, str(folder)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            ConfigError, match=f"{folder} is in use by process {holder.pid}; give each node"
        ):
            FolderLock(folder)
    finally:
        holder.kill()
        holder.communicate()
    FolderLock(folder).release()
    assert list(folder.iterdir()) == []


def test_it_is_held_once_and_released_for_the_next(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path)
    first.release()
    first.release()
    second = FolderLock(tmp_path)
    second.release()


def test_a_folder_that_cannot_be_written_is_not_held() -> None:
    FolderLock(Path("/proc/no/map")).release()
