"""What a worker or node that starts anew is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link import AddKeyframe, Begin, ClearBox, Correct, Load, Pause, Reset


def keyframe(index: int) -> Keyframe:
    pose = np.eye(4)
    pose[0, 3] = index
    camera = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), pose, 64, 48)
    rng = np.random.default_rng(index)
    depth = rng.uniform(0.5, 4, (48, 64)).astype(np.float32)
    depth[:5] = np.nan
    image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return Keyframe(f"{index:06d}", index, image, camera, depth, pose_covariance=np.eye(6) * index)


def begin(capacity: int = 64) -> Begin:
    return Begin(load_config("fast", overrides={"keyframes": {"capacity": capacity}}))


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "journal" if request.param == "disk" else None


def names(made: Journal) -> list[str]:
    return [c.keyframe.name for c in made.replay() if isinstance(c, AddKeyframe)]


def test_everything_that_makes_the_map_is_replayed_in_order(folder: Path | None) -> None:
    made = Journal(begin(), folder)
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


def test_reset_forgets_and_a_loaded_map_comes_first(folder: Path | None) -> None:
    made = Journal(begin(), folder)
    assert not made.holds
    made.note(AddKeyframe(keyframe(0), "camera"))
    assert made.holds
    before = made.replay()
    made.note(Reset(4))
    assert not made.holds
    if folder is not None:
        assert not any(isinstance(c, AddKeyframe) for c in before)
    made.loaded(Path("/maps/kitchen"))
    made.note(AddKeyframe(keyframe(1), "camera"))
    commands = list(made.replay())
    assert Reset(4) in commands
    assert commands[3] == Load(0, Path("/maps/kitchen"))
    assert names(made) == ["000001"]


def test_what_came_after_the_replay_began_is_not_in_it(folder: Path | None) -> None:
    made = Journal(begin(), folder)
    made.note(AddKeyframe(keyframe(0), "camera"))
    commands = made.replay()
    made.note(AddKeyframe(keyframe(1), "camera"))
    assert len([c for c in commands if isinstance(c, AddKeyframe)]) == 1


def test_corrections_and_cleared_boxes_are_replayed_where_they_came(tmp_path: Path) -> None:
    made = Journal(begin(), tmp_path)
    made.note(AddKeyframe(keyframe(0), "camera"))
    made.note(Correct(("000000",), np.eye(4)[None] * 2))
    made.note(ClearBox(5, np.zeros(3), np.ones(3), np.eye(4)))
    made.note(AddKeyframe(keyframe(1), "camera"))
    kinds = [type(c) for c in made.replay()][3:]
    assert kinds == [AddKeyframe, Correct, ClearBox, AddKeyframe]


def test_in_memory_a_correction_moves_the_keyframes_kept() -> None:
    made = Journal(begin())
    made.note(AddKeyframe(keyframe(0), "camera"))
    moved = np.eye(4)
    moved[1, 3] = 5
    made.note(Correct(("000000",), moved[None]))
    (kept,) = (c for c in made.replay() if isinstance(c, AddKeyframe))
    assert kept.keyframe.camera.centre[1] == 5


def test_a_new_process_takes_up_what_a_killed_one_left(tmp_path: Path) -> None:
    said: list[str] = []
    first = Journal(begin(), tmp_path, said.append)
    for index in range(4):
        first.note(AddKeyframe(keyframe(index), "camera"))
    with (tmp_path / "journal.jsonl").open("a") as stream:
        stream.write('{"kind": "keyfr')  # the power went
    (tmp_path / "000002.keyframe").write_bytes(b"\0" * 40)
    second = Journal(begin(), tmp_path, said.append)
    assert second.resumed == 4
    assert second.next_number == 4
    assert names(second) == ["000000", "000001", "000003"]
    assert len(said) == 2
    assert "ends within a line" in said[0]
    assert "000002.keyframe is left out" in said[1]
    second.note(AddKeyframe(replace(keyframe(4)), "camera"))
    assert names(Journal(begin(), tmp_path, said.append))[-1] == "000004"
    second.finish()
    assert not tmp_path.exists()
    assert Journal(begin(), tmp_path).resumed == 0


def test_a_disk_that_cannot_be_written_means_memory() -> None:
    made = Journal(begin(), Path("/dev/null/journal"))
    made.note(AddKeyframe(keyframe(0), "camera"))
    assert names(made) == ["000000"]
