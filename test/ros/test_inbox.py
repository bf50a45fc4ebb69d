"""What waits for a worker, and what it knows of it at once."""

from pathlib import Path

from test_outbox import frame

from reconx_ros.ros.inbox import Inbox
from reconx_ros.ros.link_commands import Cancel, Load, Resend, Reset, Save


def test_a_reset_makes_keyframes_before_it_void_and_none_after_it() -> None:
    inbox = Inbox()
    for command in (frame(0), Save(1, Path("map")), frame(1), Reset(1), frame(2)):
        inbox.put(command)
    wanted = []
    while (command := inbox.get(0.0)) is not None:
        wanted.append((type(command).__name__, inbox.wanted))
    assert wanted == [
        ("AddKeyframe", False),
        ("Save", True),
        ("AddKeyframe", False),
        ("Reset", True),
        ("AddKeyframe", True),
    ]


def test_a_keyframe_that_is_being_taken_in_when_a_reset_comes_is_not_the_next_ones_loss() -> None:
    inbox = Inbox()
    inbox.put(frame(0))
    assert inbox.get(0.0) is not None and inbox.wanted
    inbox.put(Reset(1))
    inbox.put(frame(1))
    assert isinstance(inbox.get(0.0), Reset)
    assert inbox.get(0.0) is not None and inbox.wanted


def test_what_cannot_wait_is_known_before_it_is_its_turn() -> None:
    inbox = Inbox()
    inbox.put(frame(0))
    inbox.put(Resend())
    assert not inbox.empty
    assert not inbox.urgent
    load = Load(2, Path("map"))
    inbox.put(load)
    inbox.put(Cancel(7))
    assert inbox.urgent and inbox.ending
    assert inbox.cancelled == {7}
    inbox.served(load)
    assert not inbox.urgent and not inbox.ending
    assert Inbox().get(0.0) is None
    assert Inbox().get(0.01) is None
