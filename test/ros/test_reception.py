"""What comes back from the worker: lines that do not flood, and what is under way."""

from collections.abc import Iterator

import pytest
import rclpy

from reconx_ros.ros.complaints import Complaints
from reconx_ros.ros.corrections import Corrections
from reconx_ros.ros.link_replies import Answer, Refused, Trouble
from reconx_ros.ros.map_state import MapState
from reconx_ros.ros.outputs import Outputs
from reconx_ros.ros.reception import Reception


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def reception(context: None, said: list[str]) -> Iterator[Reception]:
    node = rclpy.create_node("receiver")
    outputs = Outputs(node, lambda: 0.0, lambda: False)
    complaints = Complaints(said.append)
    yield Reception(MapState(), outputs, Corrections(), complaints, lambda: "map", lambda: None)
    node.destroy_node()


def test_what_the_worker_says_again_with_other_numbers_is_one_line(
    reception: Reception, said: list[str]
) -> None:
    for count in (120, 121, 122):
        reception.received(Trouble(f"{count} Gaussians are above the cap of 100: thinned out to 99"))
        reception.received(Refused(f"front_{count:06d}", f"a point is {count}.5 m from the origin"))
    reception.received(Refused("front_000123", "no depth"))
    assert [line.partition(" ")[0] for line in said] == ["120", "keyframe", "keyframe"]
    assert reception.left_out == 4


def test_a_map_is_being_saved_until_that_is_answered(reception: Reception) -> None:
    first, second = (reception.expect(lambda _: None, saves=True) for _ in range(2))
    other = reception.expect(lambda _: None)
    for number, saving in ((other, True), (first, True), (second, False)):
        reception.received(Answer(number, "ok", "done"))
        assert reception.saving is saving


def test_nothing_is_being_saved_when_nobody_will_answer(reception: Reception) -> None:
    reception.expect(lambda _: None, saves=True)
    reception.refuse_rest()
    assert not reception.saving
