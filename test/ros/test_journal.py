"""What a worker that starts anew is told."""

from pathlib import Path

import numpy as np
from ros_journal import begin, box, keyframe, moved_by, names, reopened

from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import AddKeyframe, Begin, ClearBox, Correct, Load, Pause, Reset


def test_everything_that_makes_the_map_is_replayed_in_order(journal_folder: Path | None) -> None:
    made = Journal(begin(), journal_folder)
    for index in range(3):
        made.note(AddKeyframe(keyframe(index), "camera"))
    made.note(Pause(True))
    first, reset, pause, *rest = made.replay()
    assert isinstance(first, Begin)
    assert (reset, pause) == (Reset(0), Pause(True))
    assert names(made) == ["000000", "000001", "000002"]
    assert len(rest) == 3
    for index, command in enumerate(rest):
        assert isinstance(command, AddKeyframe)
        assert (command.camera_frame, command.catching_up) == ("camera", True)
        wanted, got = keyframe(index), command.keyframe
        np.testing.assert_array_equal(got.image, wanted.image)
        np.testing.assert_allclose(got.depth, wanted.depth, atol=6e-4)  # type: ignore[arg-type]
        np.testing.assert_allclose(got.camera.world_from_camera, wanted.camera.world_from_camera)
        np.testing.assert_array_equal(got.pose_covariance, wanted.pose_covariance)


def test_memory_is_bounded_without_a_disk() -> None:
    made = Journal(begin(capacity=4))
    for index in range(10):
        made.note(AddKeyframe(keyframe(index), "camera"))
    assert len(names(made)) == 4
    assert names(made)[-1] == "000009"


def test_reset_forgets_and_a_loaded_map_comes_first(journal_folder: Path | None) -> None:
    made = Journal(begin(), journal_folder)
    assert not made.holds
    made.note(AddKeyframe(keyframe(0), "camera"))
    assert made.holds
    before = made.replay()
    made.note(Reset(4))
    assert not made.holds
    if journal_folder is not None:
        assert not any(isinstance(c, AddKeyframe) for c in before)
    made.note(Load(3, Path("kitchen")))
    made.loaded(3, Path("/maps/kitchen"))
    made.note(AddKeyframe(keyframe(1), "camera"))
    commands = list(made.replay())
    assert Reset(4) in commands
    assert commands[3] == Load(0, Path("/maps/kitchen"))
    assert names(made) == ["000001"]


def loading(folder: Path | None) -> Journal:
    """A journal with a keyframe before and one after a ``Load`` that is not answered yet."""
    made = Journal(begin(), folder)
    made.note(AddKeyframe(keyframe(0), "camera"))
    made.note(Load(3, Path("kitchen")))
    made.note(AddKeyframe(keyframe(1), "camera"))
    return made


def test_a_load_takes_the_place_of_what_came_before_it_and_no_more(journal_folder: Path | None) -> None:
    made = loading(journal_folder)
    assert names(made) == ["000000", "000001"]
    made.loaded(3, Path("/maps/kitchen"))
    journals = [made] if journal_folder is None else [made, reopened(made, journal_folder)]
    for journal in journals:
        assert Load(0, Path("/maps/kitchen")) in list(journal.replay())
        assert names(journal) == ["000001"]
        assert len(journal) == 1
    assert made.fetch("000000") is None
    kept = made.fetch("000001")
    assert kept is not None
    assert not kept.catching_up


def test_a_load_that_fails_leaves_everything(journal_folder: Path | None) -> None:
    made = loading(journal_folder)
    made.not_loaded(3)
    made.loaded(3, Path("/maps/kitchen"))  # nobody asked for it any more
    assert names(made) == ["000000", "000001"]
    assert not any(isinstance(command, Load) for command in made.replay())


def test_a_load_that_is_not_answered_when_the_node_dies_leaves_everything(tmp_path: Path) -> None:
    assert names(reopened(loading(tmp_path), tmp_path)) == ["000000", "000001"]


def test_nothing_is_left_of_a_load_after_which_a_reset_came(journal_folder: Path | None) -> None:
    made = loading(journal_folder)
    made.note(Reset(1))
    made.note(AddKeyframe(keyframe(2), "camera"))
    made.loaded(3, Path("/maps/kitchen"))
    assert names(made) == ["000002"]
    assert not any(isinstance(command, Load) for command in made.replay())


def test_of_two_loads_the_last_that_is_done_counts(journal_folder: Path | None) -> None:
    made = loading(journal_folder)
    made.note(Load(4, Path("attic")))
    made.note(AddKeyframe(keyframe(2), "camera"))
    made.loaded(3, Path("/maps/kitchen"))
    assert names(made) == ["000001", "000002"]
    made.loaded(4, Path("/maps/attic"))
    assert names(made) == ["000002"]
    assert Load(0, Path("/maps/attic")) in list(made.replay())


def test_what_came_after_the_replay_began_is_not_in_it(journal_folder: Path | None) -> None:
    made = Journal(begin(), journal_folder)
    made.note(AddKeyframe(keyframe(0), "camera"))
    commands = made.replay()
    made.note(AddKeyframe(keyframe(1), "camera"))
    assert len([c for c in commands if isinstance(c, AddKeyframe)]) == 1


def test_corrections_and_cleared_boxes_are_replayed_where_they_came(tmp_path: Path) -> None:
    """A box clears what was there then, so what was seen before it is added where it was at that time."""
    made = Journal(begin(), tmp_path)
    made.note(AddKeyframe(keyframe(0), "camera"))
    made.note(moved_by(1.0, 0))
    made.note(box())
    made.note(AddKeyframe(keyframe(1), "camera"))
    made.note(moved_by(2.0, 0, 1))
    made.note(moved_by(3.0, 0, 1))
    for journal in (made, reopened(made, tmp_path)):
        first, cleared, correct, second = list(journal.replay())[3:]
        assert isinstance(first, AddKeyframe)
        assert first.keyframe.camera.centre[1] == 1.0
        assert isinstance(cleared, ClearBox)
        assert isinstance(correct, Correct)
        assert correct.names == ("000000",)
        assert correct.poses[0, 1, 3] == 3.0
        assert isinstance(second, AddKeyframe)
        assert second.keyframe.camera.centre[1] == 3.0
        assert [line.pose[1, 3] for line in journal.keyframes if line.pose is not None] == [3.0, 3.0]


def test_in_memory_a_correction_moves_the_keyframes_kept() -> None:
    made = Journal(begin())
    made.note(AddKeyframe(keyframe(0), "camera"))
    moved = np.eye(4)
    moved[1, 3] = 5
    made.note(Correct(("000000",), moved[None]))
    (kept,) = (c for c in made.replay() if isinstance(c, AddKeyframe))
    assert kept.keyframe.camera.centre[1] == 5
