"""What a worker that starts anew is told."""

from pathlib import Path

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link import AddKeyframe, Begin, Load, Pause, Reset


def keyframe(index: int) -> Keyframe:
    pose = np.eye(4)
    pose[0, 3] = index
    camera = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), pose, 64, 48)
    return Keyframe(f"{index:06d}", index, np.zeros((48, 64, 3), np.uint8), camera)


def journal(capacity: int = 64) -> Journal:
    return Journal(Begin(load_config("fast", overrides={"keyframes": {"capacity": capacity}})))


def names(made: Journal) -> list[str]:
    return [c.keyframe.name for c in made.replay() if isinstance(c, AddKeyframe)]


def test_everything_that_makes_the_map_is_replayed_in_order() -> None:
    made = journal()
    for index in range(3):
        made.note(AddKeyframe(keyframe(index), "camera"))
    made.note(Pause(True))
    first, reset, pause, *rest = made.replay()
    assert isinstance(first, Begin)
    assert reset == Reset(0)
    assert pause == Pause(True)
    assert names(made) == ["000000", "000001", "000002"]
    assert len(rest) == 3


def test_memory_is_bounded_by_the_capacity_of_the_buffer() -> None:
    made = journal(capacity=4)
    for index in range(10):
        made.note(AddKeyframe(keyframe(index), "camera"))
    assert len(names(made)) == 4
    assert names(made)[-1] == "000009"


def test_reset_forgets_and_a_loaded_map_comes_first() -> None:
    made = journal()
    assert not made.holds
    made.note(AddKeyframe(keyframe(0), "camera"))
    assert made.holds
    made.note(Reset(4))
    assert not made.holds
    made.loaded(Path("/maps/kitchen"))
    made.note(AddKeyframe(keyframe(1), "camera"))
    assert Reset(4) in made.replay()
    assert made.replay()[3] == Load(0, Path("/maps/kitchen"))
    assert names(made) == ["000001"]
