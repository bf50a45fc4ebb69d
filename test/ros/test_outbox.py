"""The order in which a worker is told things."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from ros_bench import keyframe

from reconx_ros.ros.link_commands import AddKeyframe, Cancel, Command, Pause, Reset, Save, Stop
from reconx_ros.ros.outbox import Outbox

FRAME = keyframe(0)
SAVE = Save(1, Path("map"))


def frame(index: int, catching_up: bool = False) -> AddKeyframe:
    return AddKeyframe(replace(FRAME, name=f"{index:06d}"), "camera", catching_up)


def told(outbox: Outbox) -> Iterator[str]:
    """Everything there is now, by name or kind."""
    while (command := outbox.get(block=False)) is not None:
        yield command.keyframe.name if isinstance(command, AddKeyframe) else type(command).__name__


def make(*first: Command) -> Outbox:
    return Outbox(iter(first), lambda _: None, lambda _: None, 2, 100)


def test_few_keyframes_are_under_way_and_what_follows_keeps_its_place() -> None:
    outbox = make(frame(0, True), Pause(False), frame(1, True))
    outbox.put(frame(2))
    outbox.put(SAVE)
    assert list(told(outbox)) == ["000000", "Pause", "000001"]
    outbox.answered()
    assert list(told(outbox)) == ["000002", "Save"]


def test_cancel_goes_before_all() -> None:
    outbox = make()
    for index in range(4):
        outbox.put(frame(index))
    assert list(told(outbox)) == ["000000", "000001"]
    outbox.put(Cancel(3))
    assert list(told(outbox)) == ["Cancel"]


def test_stop_takes_the_place_of_keyframes_that_wait_and_counts_them() -> None:
    outbox = make(*(frame(index, True) for index in range(5)))
    outbox.put(frame(5))
    outbox.put(SAVE)
    assert list(told(outbox)) == ["000000", "000001"]
    outbox.answered()
    outbox.put(Stop(2, None))
    assert list(told(outbox)) == ["Save", "Stop"]
    assert outbox.left == 5  # one of the two under way, and four that waited


@given(st.lists(st.sampled_from(["frame", "reset", "answered", "get"]), max_size=60))
def test_after_a_reset_all_newer_keyframes_come_and_no_older(steps: list[str]) -> None:
    outbox = make(frame(900, True), frame(901, True))
    wanted, seen = ["000900", "000901"], []
    for number, step in enumerate(steps):
        if step == "frame":
            outbox.put(frame(number))
            wanted.append(f"{number:06d}")
        elif step == "reset":
            outbox.put(Reset(number))
            wanted = ["Reset"]
        elif step == "answered":
            outbox.answered()
        else:
            seen.extend(told(outbox))
    for _ in range(len(steps) + 3):
        outbox.answered()
        seen.extend(told(outbox))
    assert seen[-len(wanted) :] == wanted
    assert seen.count("Reset") == steps.count("reset")


def test_keyframes_that_wait_long_are_read_when_it_is_their_turn_or_lost() -> None:
    lost: list[str] = []
    kept = {"000001": frame(1)}
    outbox = Outbox(iter(()), kept.get, lost.append, None, 0)
    for index in range(3):
        outbox.put(frame(index, catching_up=True))
    command = outbox.get(block=False)
    assert isinstance(command, AddKeyframe)
    assert (command.keyframe.name, command.catching_up) == ("000001", True)
    assert outbox.get(block=False) is None
    assert lost == ["000000", "000002"]


def test_a_thread_that_waits_gets_what_comes_and_the_end() -> None:
    outbox = make()
    got: list[Command] = []
    came = threading.Event()

    def run() -> None:
        while (command := outbox.get()) is not None:
            got.append(command)
            came.set()

    thread = threading.Thread(target=run)
    thread.start()
    outbox.put(Pause(True))
    assert came.wait(30)
    outbox.put(None)
    thread.join(60)
    assert not thread.is_alive()
    assert got == [Pause(True)]
