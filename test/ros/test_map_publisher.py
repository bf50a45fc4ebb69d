"""When the worker tells the node of its map."""

import time
from dataclasses import dataclass, field

import pytest
from ros_bench import keyframe

from reconx_ros.config import load_config
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros import replies as worker_replies
from reconx_ros.ros.link_commands import Begin
from reconx_ros.ros.link_replies import FieldUpdate, MapUpdate, Reply
from reconx_ros.ros.map_publisher import MapPublisher

CONFIG = load_config(
    "fast",
    overrides={
        "splatting": {"max_gaussians": 2000},
        "mapping": {"distance_field": {"voxel_size": 0.1, "live_radius": 1.0}},
    },
)


@dataclass
class Worker:
    """A map to which keyframes are added by hand, and what is told of it."""

    min_keyframes: int = 1
    period_s: float = 1000.0
    replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        begin = Begin(CONFIG, self.min_keyframes, self.period_s)
        self.mapper = IncrementalMapper(CONFIG)
        self.publisher = MapPublisher(begin, self.mapper, self.replies.append)

    def add(self, number: int) -> None:
        self.mapper.add(keyframe(number))
        self.publisher.keyframe_came("camera")

    def told(self, refining: bool = False) -> list[MapUpdate]:
        """The maps that are told now."""
        before = len(self.replies)
        self.publisher.publish_when_due(refining)
        return [reply for reply in self.replies[before:] if isinstance(reply, MapUpdate)]


def test_a_map_is_told_when_it_has_changed_and_its_time_has_come() -> None:
    worker = Worker()
    assert worker.told() == []
    worker.add(0)
    (update,) = worker.told()
    assert (update.points.base_version, len(update.views)) == (0, 1)
    assert worker.told() == []  # nothing is new
    worker.add(1)
    assert worker.told() == []  # it was told just now
    worker.publisher.hurry()
    (update,) = worker.told()
    assert (update.points.base_version, len(update.views)) == (1, 2)


@pytest.mark.parametrize("refining", [True, False])
def test_too_few_keyframes_are_not_told_and_noted_while_they_are_refined(refining: bool) -> None:
    worker = Worker(min_keyframes=2, period_s=0.0)
    worker.add(0)
    assert worker.told(refining) == []
    assert worker.publisher.changed is refining
    worker.add(1)
    assert len(worker.told()) == 1


def test_who_lost_a_map_gets_the_whole_and_nothing_where_there_is_none() -> None:
    worker = Worker(period_s=0.0)
    worker.publisher.resend()
    assert not worker.publisher.changed
    worker.add(0)
    worker.told()
    worker.publisher.resend()
    (update,) = worker.told()
    assert update.points.complete and update.gaussians.complete


def test_after_a_reset_the_next_map_is_whole_of_the_new_epoch_and_at_once() -> None:
    worker = Worker()
    worker.add(0)
    worker.told()
    worker.mapper.reset()
    worker.publisher.reset(7)
    assert worker.told() == []
    assert not worker.publisher.holds
    worker.add(1)
    (update,) = worker.told()
    assert (update.epoch, update.points.complete, len(update.views)) == (7, True, 1)


def test_a_map_that_was_loaded_is_told_without_keyframes() -> None:
    worker = Worker(period_s=0.0)
    worker.add(0)
    worker.told()
    loaded = worker.mapper.snapshot()
    assert loaded is not None
    other = Worker(min_keyframes=3)
    other.mapper.load(loaded)
    other.publisher.loaded()
    (update,) = other.told()
    assert update.gaussians.count == len(loaded.gaussians)


def test_the_field_that_a_map_had_no_time_for_follows_when_all_is_at_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_replies, "SHARE", 0.002)  # one takes milliseconds: seconds between two
    worker = Worker(period_s=0.0)

    def fields() -> int:
        return sum(isinstance(reply, FieldUpdate) for reply in worker.replies)

    worker.add(0)
    assert len(worker.told()) == fields() == 1
    assert not worker.publisher.waiting
    worker.add(1)
    assert len(worker.told(refining=True)) == fields() == 1
    assert worker.publisher.waiting
    deadline = time.monotonic() + 60
    while worker.publisher.waiting and time.monotonic() < deadline:
        assert worker.told() == []  # the map is not told again
        time.sleep(0.05)
    assert fields() == 2
    worker.add(2)
    worker.told(refining=True)
    worker.publisher.reset(1)
    assert not worker.publisher.waiting
