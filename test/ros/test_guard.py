"""What a subscription refuses is counted, and said once however its numbers differ."""

from reconx_ros.errors import SourceError
from reconx_ros.ros.guard import MessageGuard


def refuse(numbers: tuple[float, ...]) -> None:
    raise SourceError(f"transform map -> base: translation [{', '.join(f'{n:g}' for n in numbers)}]")


def test_the_same_trouble_with_other_numbers_is_one_line() -> None:
    warned, failed = list[str](), list[str]()
    guard = MessageGuard(warned.append, failed.append)
    take = guard.around("/tf", refuse)
    for numbers in [(1e12, 0, 0), (-1e12, 2.5, -3), (1.25e-07, -4e9, 1e300)]:
        take(numbers)
    assert warned == [
        "message on /tf cannot be used: transform map -> base: translation [1e+12, 0, 0]",
    ]
    assert failed == []
    assert guard.dropped.counts == {"bad message": 3}


def test_other_frames_and_other_topics_are_lines_of_their_own() -> None:
    warned = list[str]()
    guard = MessageGuard(warned.append, warned.append)
    for topic in ("/tf", "/tf_static"):
        guard.around(topic, refuse)((1.0,))
        guard.around(topic, refuse)((float("nan"),))
    assert len(warned) == 4
