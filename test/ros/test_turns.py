"""Work that is left to whoever has the turn."""

import threading

from reconx_ros.ros.turns import Turns


def test_work_is_done_at_once_where_nobody_has_the_turn() -> None:
    done: list[str] = []
    Turns().leave(lambda: done.append(threading.current_thread().name))
    assert done == [threading.current_thread().name]


def test_who_has_the_turn_does_what_was_left_once_and_after_its_own() -> None:
    done: list[str] = []
    turns = Turns()
    begun, on = threading.Event(), threading.Event()

    def left() -> None:
        done.append(threading.current_thread().name)

    def work() -> None:
        with turns.take():
            begun.set()
            assert on.wait(60)
            done.append("own")

    thread = threading.Thread(target=work, name="holder")
    thread.start()
    assert begun.wait(60)
    for _ in range(3):
        turns.leave(left)  # returns while the other has the turn
    assert done == []
    on.set()
    thread.join(60)
    assert done == ["own", "holder"]


def test_nothing_that_is_left_stays_undone() -> None:
    """Many threads take turns and leave work: after each time it was left it is done once more."""
    left, done = [0], [0]

    def work() -> None:
        done[0] = left[0]

    turns = Turns()

    def take() -> None:
        for _ in range(2000):
            with turns.take():
                pass

    others = [threading.Thread(target=take) for _ in range(3)]
    for other in others:
        other.start()
    for _ in range(2000):
        left[0] += 1
        turns.leave(work)
    for other in others:
        other.join()
    assert done == left
