"""Folders of workers: each its own, those of processes that have ended removed."""

import os
import subprocess
from pathlib import Path

from reconx_ros.config import load_config
from reconx_ros.ros.link_commands import Begin, Stop
from reconx_ros.ros.link_replies import Reply
from reconx_ros.ros.map_worker import MapWorker
from reconx_ros.ros.worker_scratch import leave, own_scratch


def test_a_worker_takes_no_files_of_one_that_still_runs(tmp_path: Path) -> None:
    shared = tmp_path / "submaps"
    ended = subprocess.Popen(["true"])
    ended.wait()
    other = subprocess.Popen(["sleep", "60"])
    try:
        for process in (ended, other):
            (shared / str(process.pid)).mkdir(parents=True)
            (shared / str(process.pid) / "000001.npz").touch()
        replies: list[Reply] = []
        worker = MapWorker(Begin(load_config("fast"), scratch=shared), replies.append)
        kept = shared / str(other.pid) / "000001.npz"
        assert [folder.name for folder in shared.iterdir()] == [str(other.pid)]
        worker._dispatch(Stop(1, None))
        assert kept.is_file()
    finally:
        other.kill()
        other.wait()


def test_the_last_to_leave_removes_the_folder(tmp_path: Path) -> None:
    shared = tmp_path / "submaps"
    own = own_scratch(shared)
    assert own == shared / str(os.getpid())
    own.mkdir()
    leave(shared)
    assert own.is_dir()
    own.rmdir()
    leave(shared)
    assert not shared.exists()


def test_where_nothing_can_be_written_there_is_none() -> None:
    assert own_scratch(None) is None
    assert own_scratch(Path("/dev/null/submaps")) is None
