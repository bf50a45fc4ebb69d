"""In what order the other machine's replies go to the robot."""

import numpy as np
import pytest

from reconx_ros.ros.deltas import DeltaGapError, DeltaMaker
from reconx_ros.ros.link_replies import Activity, Answer, FieldUpdate, MapUpdate, Trouble
from reconx_ros.ros.reply_queue import ReplyQueue
from reconx_ros.ros.rows import CLOUD_TYPE, gaussian_type


class Maps:
    """Maps of a worker, each the change from the one before."""

    def __init__(self) -> None:
        self.makers = DeltaMaker(), DeltaMaker()

    def next(self, count: int) -> MapUpdate:
        points, gaussians = np.zeros(count, CLOUD_TYPE), np.zeros(count, gaussian_type(1))
        points["id"] = gaussians["id"] = np.arange(count)
        return MapUpdate(0, self.makers[0].make(points), self.makers[1].make(gaussians), (), 0.1)


def field() -> FieldUpdate:
    return FieldUpdate(0, 7, np.zeros(3), 0.1, np.zeros((2, 2, 2), np.float32))


def kinds(queue: ReplyQueue, under_way: int = 0) -> list[str]:
    """The kinds of everything that goes while so many messages are not acknowledged."""
    messages = iter(lambda: queue.take(under_way), None)
    return [message.kind for message in messages]


def test_answers_go_first_then_what_is_done_then_the_field_then_the_map() -> None:
    queue = ReplyQueue(10_000)
    queue.put(Maps().next(3))
    queue.put(field())
    queue.put(Activity("refining", 0.5, 1))
    queue.put(Trouble("a line"))
    queue.put(Answer(4, "ok", "done"))
    order = kinds(queue)
    assert order[:4] == ["trouble", "answer", "activity", "field"]
    assert set(order[4:]) == {"map"}
    assert queue.take(0) is None


def test_while_much_is_under_way_neither_a_map_nor_what_is_done_goes() -> None:
    queue = ReplyQueue(10_000)
    queue.put(Maps().next(3))
    queue.put(Activity("refining", 0.5, 1))
    queue.put(Trouble("a line"))
    assert kinds(queue, under_way=2) == ["trouble"]
    assert kinds(queue, under_way=1) == ["activity"]
    assert set(kinds(queue)) == {"map"}


def test_of_several_only_the_newest_goes() -> None:
    queue, maps = ReplyQueue(10_000), Maps()
    for count in (3, 4):
        queue.put(maps.next(count))
        queue.put(field())
        queue.put(Activity("refining", count / 10, 1))
    order = kinds(queue)
    assert order.count("activity") == order.count("field") == 1
    queue.put(maps.next(5))
    assert len(order) - 2 == len(kinds(queue))  # as many messages as one map takes


def test_a_map_that_does_not_follow_is_told_and_the_next_whole_one_goes() -> None:
    queue, maps = ReplyQueue(10_000), Maps()
    maps.next(3)
    with pytest.raises(DeltaGapError):
        queue.put(maps.next(4))
    assert kinds(queue) == []
    queue.put(Maps().next(4))
    assert set(kinds(queue)) == {"map"}


def test_nothing_of_the_map_before_goes_after_it_was_forgotten() -> None:
    queue = ReplyQueue(10_000)
    queue.put(Maps().next(3))
    queue.put(field())
    queue.put(Trouble("a line"))
    queue.forget_map()
    assert kinds(queue) == ["trouble"]
    queue.put(Trouble("a line"))
    queue.clear()
    assert kinds(queue) == []
