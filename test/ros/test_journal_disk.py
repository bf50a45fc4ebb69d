"""What of a journal is on disk, in which order, and what happens where the disk fails."""

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from ros_journal import begin, box, keyframe, moved_by, names, refuse, reopened

from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import AddKeyframe, ClearBox, Correct, Load, Pause, Reset


def test_loop_closures_do_not_grow(tmp_path: Path) -> None:
    """200 corrections of 50 keyframes: one pose a keyframe stays in memory, and a few on disk."""
    made = Journal(begin(), tmp_path)
    indices = range(50)
    for index in indices:
        made.note(AddKeyframe(keyframe(index), "camera"))
    made.flush()
    size = (tmp_path / "journal.jsonl").stat().st_size
    for count in range(200):
        made.note(moved_by(0.01 * count, *indices))
    again = reopened(made, tmp_path)
    for journal in (made, again):
        assert len(journal._lines.entries) == 50
        assert {c.keyframe.camera.centre[1] for c in journal.replay() if isinstance(c, AddKeyframe)} == {
            1.99
        }
    assert (tmp_path / "journal.jsonl").stat().st_size < 5 * size


def test_a_keyframe_is_on_disk_and_its_folder_too_before_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    made = Journal(begin(), tmp_path)
    made.note(AddKeyframe(keyframe(0), "camera"))
    made.note(box())
    made.flush()
    folder = tmp_path.name
    assert synced == ["000000.keyframe.part", folder, "journal.jsonl", folder, "journal.jsonl"]


def test_who_notes_something_small_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs: what the executor notes is noted, and written in order when the disk goes on."""
    made = Journal(begin(), tmp_path)
    made.note(AddKeyframe(keyframe(0), "camera"))
    made.flush()
    goes_on, real = threading.Event(), os.fsync

    def hang(handle: int) -> None:
        assert goes_on.wait(60)
        real(handle)

    monkeypatch.setattr(os, "fsync", hang)
    commands = [moved_by(1.0, 0), box(), moved_by(2.0, 0), Pause(True), Load(3, Path("kitchen"))]
    for command in commands:
        made.note(command)
    made.not_loaded(3)
    goes_on.set()
    again = reopened(made, tmp_path)
    assert [type(c) for c in again.replay()][3:] == [AddKeyframe, ClearBox, Correct]
    made.note(Reset(1))
    assert not reopened(made, tmp_path).holds


def test_released_keyframes_leave_the_disk(tmp_path: Path) -> None:
    made = Journal(begin(), tmp_path)
    made.note(Load(3, Path("kitchen")))
    made.loaded(3, Path("/maps/kitchen"))
    for index in range(4):
        made.note(AddKeyframe(keyframe(index), "camera"))
    made.note(box())
    made.note(moved_by(3.0, 0, 3))
    made.note(moved_by(1.0, 1))
    made.release(("000000", "000001", "000099"))
    made.flush()
    assert {file.name for file in tmp_path.iterdir()} == {
        "000002.keyframe",
        "000003.keyframe",
        "journal.jsonl",
    }
    for journal in (made, reopened(made, tmp_path)):
        assert len(journal) == 2
        _, _, _, load, *rest, correct = journal.replay()
        assert load == Load(0, Path("/maps/kitchen"))
        assert [type(c) for c in rest] == [AddKeyframe, AddKeyframe, ClearBox]
        assert isinstance(correct, Correct)
        assert correct.names == ("000003",)
        np.testing.assert_array_equal(correct.poses, moved_by(3.0, 3).poses)
    made.note(AddKeyframe(keyframe(4), "camera"))
    assert names(reopened(made, tmp_path)) == ["000002", "000003", "000004"]


def test_keyframes_stay_where_the_journal_cannot_be_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = Journal(begin(), tmp_path, said.append)
    for index in range(2):
        made.note(AddKeyframe(keyframe(index), "camera"))
    made.flush()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse(errno.ENOSPC))
        made.release(("000000",))
        made.flush()
    assert names(made) == ["000001"]
    assert names(reopened(made, tmp_path)) == ["000000", "000001"]
    assert "No space left" in said[0]
    made.note(box())  # there is room again
    assert names(reopened(made, tmp_path)) == ["000001"]


def test_a_disk_that_is_full_holds_no_parts_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Journal(begin(), tmp_path / "journal")
    made.note(AddKeyframe(keyframe(0), "camera"))
    made.flush()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    made.note(AddKeyframe(keyframe(1), "camera"))
    made.note(Correct(("000000",), np.eye(4)[None]))
    made.flush()
    assert sorted(file.name for file in (tmp_path / "journal").iterdir()) == [
        "000000.keyframe",
        "journal.jsonl",
    ]


def test_a_disk_that_cannot_be_written_means_memory() -> None:
    made = Journal(begin(), Path("/dev/null/journal"))
    made.note(AddKeyframe(keyframe(0), "camera"))
    assert names(made) == ["000000"]
