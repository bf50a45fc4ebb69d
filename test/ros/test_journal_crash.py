"""What a journal gives to a process that comes after one that was killed, or after a power cut."""

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ros_journal import begin, keyframe, moved_by, names, refuse, reopened

from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import AddKeyframe, Reset


def test_what_odometry_said_of_a_keyframe_is_there_after_a_restart(tmp_path: Path) -> None:
    made = Journal(begin(), tmp_path)
    by_odom, by_base = 2 * np.eye(4), 3 * np.eye(4)
    made.note(AddKeyframe(keyframe(4), "camera", odom_from_camera=by_odom, base_from_camera=by_base))
    made.note(AddKeyframe(keyframe(5), "camera"))
    made.note(moved_by(1.0, 4))
    for journal in (made, reopened(made, tmp_path)):
        first, second = journal.keyframes
        assert (first.name, first.stamp_ns) == ("000004", 4)
        np.testing.assert_array_equal(first.pose, moved_by(1.0, 4).poses[0])
        np.testing.assert_array_equal(first.odom_from_camera, by_odom)
        np.testing.assert_array_equal(first.base_from_camera, by_base)
        assert second.odom_from_camera is second.base_from_camera is None


def test_a_new_process_takes_up_what_a_killed_one_left(tmp_path: Path) -> None:
    said: list[str] = []
    first = Journal(begin(), tmp_path, said.append)
    for index in range(4):
        first.note(AddKeyframe(keyframe(index), "camera"))
    first.flush()
    (tmp_path / "000002.keyframe").write_bytes(b"\0" * 40)
    with (tmp_path / "journal.jsonl").open("a") as stream:
        stream.write('{"kind": "keyfr')  # the power went
    second = Journal(begin(), tmp_path, said.append)
    assert second.resumed == 4
    assert second.next_number == 4
    assert names(second) == ["000000", "000001", "000003"]
    assert len(said) == 2
    assert "1 of 5 lines are damaged" in said[0]
    assert "000002.keyframe is left out" in said[1]
    second.note(AddKeyframe(replace(keyframe(4)), "camera"))
    third = reopened(second, tmp_path, said)
    assert len(said) == 2
    assert names(third)[-1] == "000004"
    third.finish()
    assert not tmp_path.exists()
    assert Journal(begin(), tmp_path).resumed == 0


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "keyframe"}',
        '{"kind": "keyframe", "name": "../../etc/passwd"}',
        '{"kind": "keyframe", "name": 3}',
        '{"kind": "correct", "names": ["000000"], "poses": []}',
        '{"kind": "correct", "names": ["000000"], "poses": [[1, 2], [3, 4]]}',
        '{"kind": "clear_box", "low": [0, 0, 0]}',
        '{"kind": "load"}',
        '{"kind": "dream", "name": "000000"}',
        '["keyframe"]',
        "17",
        "null",
        "\0\0\0\0",
    ],
)
def test_a_line_without_its_fields_is_left_out_and_the_others_are_used(tmp_path: Path, line: str) -> None:
    first = Journal(begin(), tmp_path)
    first.note(AddKeyframe(keyframe(0), "camera"))
    first.flush()
    with (tmp_path / "journal.jsonl").open("a") as stream:
        stream.write(f"{line}\n")
    first.note(AddKeyframe(keyframe(1), "camera"))
    said: list[str] = []
    second = reopened(first, tmp_path, said)
    assert said == [f"journal {tmp_path}: 1 of 3 lines are damaged; the others are used"]
    assert names(second) == ["000000", "000001"]
    again: list[str] = []
    assert names(reopened(second, tmp_path, again)) == ["000000", "000001"]
    assert again == []


def test_a_damaged_journal_on_a_disk_that_is_read_only_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Journal(begin(), tmp_path)
    first.note(AddKeyframe(keyframe(0), "camera"))
    first.flush()
    with (tmp_path / "journal.jsonl").open("a") as stream:
        stream.write('{"kind": "keyfr')
    said: list[str] = []
    monkeypatch.setattr(Path, "open", refuse(errno.EROFS))
    second = reopened(first, tmp_path, said)
    assert second.resumed == 1
    assert names(second) == ["000000"]
    second.note(Reset(1))  # and nothing of it is an error of the caller's
    second.note(AddKeyframe(keyframe(1), "camera"))
    second.flush()
    assert names(second) == ["000001"]
    assert {line.rpartition(": ")[2] for line in said[1:]} == {
        "Read-only file system",
        "Read-only file system; keyframes are kept in memory only",
    }


def test_a_keyframe_whose_line_was_not_written_any_more_is_taken_up(tmp_path: Path) -> None:
    """The power fails between a keyframe and its line."""
    first = Journal(begin(), tmp_path)
    for index in range(2):
        first.note(AddKeyframe(keyframe(index), "camera"))
    first.flush()
    time.sleep(0.01)
    first.write(AddKeyframe(keyframe(2), "camera"))
    second = Journal(begin(), tmp_path)
    assert names(second) == ["000000", "000001", "000002"]
    assert names(reopened(second, tmp_path)) == ["000000", "000001", "000002"]


def test_what_is_left_of_keyframes_that_were_forgotten_is_not_taken_up(tmp_path: Path) -> None:
    """The power fails between the lines written anew and the removal of files."""
    first = Journal(begin(), tmp_path)
    for index in range(2):
        first.note(AddKeyframe(keyframe(index), "camera"))
    first.flush()
    old = (tmp_path / "000000.keyframe").read_bytes()
    first.release(["000000"])
    first.flush()
    (tmp_path / "000000.keyframe").write_bytes(old)
    os.utime(tmp_path / "000000.keyframe", (1, 1))
    (tmp_path / "000005.keyframe.part").write_bytes(old)
    second = Journal(begin(), tmp_path)
    assert names(second) == ["000001"]
    second.flush()
    assert {file.name for file in tmp_path.iterdir()} == {"000001.keyframe", "journal.jsonl"}


def test_of_a_keyframe_two_workers_may_die_not_three(journal_folder: Path | None) -> None:
    made = Journal(begin(), journal_folder)
    for index in range(3):
        made.note(AddKeyframe(keyframe(index), "camera"))
    made.adding("000000")
    made.adding(None)
    assert made.died() is None
    made.adding("000001")
    assert made.died() is None
    assert made.died() is None  # of something else
    journal = made if journal_folder is None else reopened(made, journal_folder)
    assert names(journal) == ["000000", "000001", "000002"]
    journal.adding("000001")
    assert journal.died() == "000001"
    journals = [journal] if journal_folder is None else [journal, reopened(journal, journal_folder)]
    for one in journals:
        assert names(one) == ["000000", "000002"]
        assert one.left_out == ["000001"]
        assert one.next_number == 3 or journal_folder is None
    if journal_folder is not None:
        assert (journal_folder / "000001.left_out").is_file()
    journal.note(Reset(1))
    assert journal.left_out == []


def test_a_node_that_died_with_its_worker_knows_of_what(tmp_path: Path) -> None:
    said: list[str] = []
    made = Journal(begin(), tmp_path)
    for index in range(2):
        made.note(AddKeyframe(keyframe(index), "camera"))
    for count in (2, 1, 1):
        made.adding("000001")
        made = reopened(made, tmp_path, said)
        assert len(made) == count
    assert said == ["keyframe 000001 is left out: workers died while they added it"]
