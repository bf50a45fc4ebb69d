"""Worker processes that die, of whatever: others come and know everything."""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from ros_bench import Bench

from reconx_ros.ros import onboard
from reconx_ros.ros.ending import end_worker
from reconx_ros.ros.link_commands import Load, Save
from reconx_ros.ros.link_replies import Added, Answer, Ready, Refused
from reconx_ros.ros.onboard import BACKOFF_S, GIVEN_UP


def test_a_killed_worker_comes_back_and_knows_everything(bench: Bench) -> None:
    bench.add(0, 1, 2)
    bench.map_of(3)
    first = bench.worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while bench.worker.pid == first:
        time.sleep(0.02)
    assert bench.worker.state in ("lost", "starting")
    bench.add(3)  # arrives while there is no worker
    bench.next(Ready)
    assert bench.map_of(4).views[-1][0] == 1003
    assert bench.worker.pid not in (None, first)
    assert bench.log == [
        "the worker died (killed by signal 9); 3 keyframes are kept; a new one starts in 0.5 s"
    ]


def test_a_keyframe_that_came_after_a_load_is_in_the_map_and_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path, journal=tmp_path / "journal")
    try:
        bench.add(0)
        bench.worker.send(Save(1, tmp_path / "map"))
        bench.next(Answer)
        pid = bench.worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        bench.worker.send(Load(2, tmp_path / "map"))
        bench.add(1)  # before the answer
        os.kill(pid, signal.SIGCONT)
        assert bench.next(Answer) == Answer(2, "ok", mock.ANY, str(tmp_path / "map"))
        added = bench.next(Added)
        assert isinstance(added, Added)
        assert added.name == "000001"
        assert [file.name for file in (tmp_path / "journal").glob("*.keyframe")] == ["000001.keyframe"]
        os.kill(pid, signal.SIGKILL)
        bench.next(Ready)
        again = bench.next(Added)
        assert isinstance(again, Added)
        assert again.name == "000001"
    finally:
        bench.worker.kill()


def test_a_load_of_a_worker_that_dies_is_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path, journal=tmp_path / "journal")
    try:
        bench.next(Ready)
        pid = bench.worker.pid
        assert pid is not None
        bench.worker.send(Load(1, tmp_path / "nothing"))
        assert bench.next(Answer) == Answer(1, "no_map", mock.ANY)
        os.kill(pid, signal.SIGSTOP)
        bench.worker.send(Load(2, tmp_path / "map"))
        os.kill(pid, signal.SIGKILL)
        assert bench.next(Answer) == Answer(2, "failed", mock.ANY)
        refused = Load(3, tmp_path / "map")
        bench.worker.send(refused)
        assert bench.next(Answer) == Answer(3, "failed", "the worker is not running; try again")
        assert not bench.worker._journal._lines.entries
    finally:
        bench.worker.kill()


DEADLY = """
import os, signal
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros import map_worker, worker

add = IncrementalMapper.add

def add_or_die(self, keyframe):
    if keyframe.name == "000001":
        os.kill(os.getpid(), signal.SIGKILL)
    return add(self, keyframe)

IncrementalMapper.add = add_or_die
map_worker.compile_apart = map_worker.warm_up = lambda config: None  # it is started three times
worker.main()
"""
"""The worker, but one keyframe kills it."""


def test_a_keyframe_that_kills_the_worker_is_left_out_and_the_others_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    program = (sys.executable, str(tmp_path / "deadly.py"))
    bench = Bench(tmp_path, journal=tmp_path / "journal", program=program)
    try:
        bench.add(0, 1, 2, 3)
        assert bench.next(Refused, 180) == Refused("000001", "workers died while they added it")
        assert bench.map_of(3).views[-1][0] == 1003
        assert [line.partition(";")[0] for line in bench.log] == 2 * [
            "the worker died (killed by signal 9)"
        ]
        assert bench.worker.behind == 0
        assert bench.worker._journal.left_out == ["000001"]
    finally:
        bench.worker.kill()


FAILING = """
import os, sys
from multiprocessing.connection import Connection
from pathlib import Path
from reconx_ros.ros.link_commands import AddKeyframe
from reconx_ros.ros.link_replies import Refused

lives = Path(sys.argv[1])
lives.write_text(lives.read_text() + ".")
connection, left = Connection(int(sys.argv[2])), len(lives.read_text())
while left:
    command = connection.recv()
    if isinstance(command, AddKeyframe):
        connection.send(Refused(command.keyframe.name, "not now"))
        left -= 1
os._exit(1)
"""
"""Ends after one keyframe, then after two, and so on."""


def test_workers_that_get_further_each_time_are_not_given_up(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "lives").write_text("")
    program = (sys.executable, str(tmp_path / "failing.py"), str(tmp_path / "lives"))
    bench = Bench(tmp_path, journal=tmp_path / "journal", program=program)
    last = len(BACKOFF_S) + 2
    bench.add(*range(last))
    try:
        while bench.next(Refused) != Refused(f"{last - 1:06d}", "not now"):
            pass
        assert bench.worker.restarts >= last - 1
        assert not any("giving up" in line for line in bench.log)
    finally:
        bench.worker.kill()


def test_trouble_with_a_reply_is_a_line_and_the_next_is_heard(bench: Bench) -> None:
    """Also trouble that looks like the end of the connection: a full disk."""
    bench.fails_at = Added
    bench.add(0, 1, 2)
    assert bench.map_of(3)
    assert bench.log == 3 * ["worker link, Added: OSError: [Errno 28] No space left on device"]
    assert bench.worker.restarts == 0


def test_a_command_that_cannot_be_told_means_a_new_worker(bench: Bench) -> None:
    bench.next(Ready)
    first = bench.worker.pid
    bench.worker.send(lambda: None)  # type: ignore[arg-type]
    bench.next(Ready)
    assert bench.worker.pid != first
    assert "worker link, command: " in bench.log[0]
    assert "killed by signal 9" in bench.log[1]


def test_a_worker_that_cannot_be_started_is_said_and_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, program=("/nowhere/worker",))
    deadline = time.monotonic() + 20
    while bench.worker.restarts < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert bench.worker.state == "lost"
    assert bench.log[0] == (
        "the worker cannot be started: [Errno 2] No such file or directory: '/nowhere/worker'"
    )
    bench.worker.kill()


def test_after_the_last_death_requests_and_the_end_are_answered_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onboard, "BACKOFF_S", (0.0,))
    bench = Bench(tmp_path, program=("false",), journal=tmp_path / "journal")
    assert bench.worker.join(20)
    bench.add(0)
    bench.worker.send(Save(9, tmp_path))
    assert bench.next(Answer) == Answer(9, "failed", GIVEN_UP)
    began = time.monotonic()
    journal = bench.worker._journal
    answer = end_worker(bench.worker, journal, tmp_path, True, lambda _: 10)
    assert time.monotonic() - began < 5
    kept = f"1 keyframes are kept in {tmp_path}: start again with this output"
    assert (answer.code, answer.message) == ("failed", f"the worker died too often; {kept}")


def test_a_request_to_a_worker_that_dies_is_answered(bench: Bench) -> None:
    bench.next(Ready)
    pid = bench.worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    bench.worker.send(Save(9, bench.folder / "map"))
    os.kill(pid, signal.SIGKILL)
    answer = bench.next(Answer)
    assert isinstance(answer, Answer)
    assert (answer.request, answer.code) == (9, "failed")
    assert "killed by signal 9" in answer.message


def test_when_the_node_is_gone_the_worker_saves_and_ends(bench: Bench) -> None:
    bench.add(0)
    bench.next(Added)
    child = bench.worker._child
    assert child is not None
    with socket.socket(fileno=os.dup(child._connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)  # what the end of the node's process does
    assert child.process.wait(60) == 0
    assert (bench.folder / "rescue" / "map.ply").is_file()


def test_what_is_seen_daily_leaves_the_journal_and_a_killed_worker_still_gets_all(tmp_path: Path) -> None:
    """There and back on one line: the second round shows all of the first."""
    folder = tmp_path / "journal"
    bench = Bench(tmp_path, daily={"mapping": {"rejoin_path": 1.0}}, journal=folder)
    try:
        bench.visit(0, 6, 0, 6)
        bench.refined_map(2)
        assert {file.name for file in folder.glob("*.keyframe")} == {"000002.keyframe", "000003.keyframe"}
        before = bench.points.rows
        assert before is not None
        assert bench.worker.pid is not None
        os.kill(bench.worker.pid, signal.SIGKILL)
        bench.next(Ready)
        bench.refined_map(2)
        after = bench.points.rows
        assert after is not None
        cells = [
            {tuple(cell) for cell in np.floor(np.stack([r["x"], r["y"], r["z"]], axis=1) / 0.1).astype(int)}
            for r in (before, after)
        ]
        assert len(cells[0] - cells[1]) <= 0.02 * len(cells[0])
    finally:
        bench.worker.kill()
