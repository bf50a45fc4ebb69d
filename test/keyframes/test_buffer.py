from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconx_ros.keyframes.buffer import KeyframeBuffer
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, overlap


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.integers(1, 5), st.lists(st.tuples(st.floats(-3, 3), st.floats(-90, 90)), max_size=12))
def test_it_is_bounded_and_the_first_and_newest_stay(
    make_view: Callable[..., Keyframe], capacity: int, poses: list[tuple[float, float]]
) -> None:
    views = [make_view(str(i), (x, 0, 0), yaw) for i, (x, yaw) in enumerate(poses)]
    buffers = [KeyframeBuffer(capacity) for _ in range(2)]
    left = [[view for view in map(buffer.add, views) if view] for buffer in buffers]
    assert left[0] == left[1]  # deterministic
    kept = buffers[0].keyframes
    assert len(kept) == len(buffers[0]) == min(capacity, len(views))
    assert sorted(kept + tuple(left[0]), key=lambda v: int(v.name)) == views  # nothing lost, none twice
    assert list(kept) == sorted(kept, key=lambda v: int(v.name))
    if views:
        assert kept[-1] is views[-1]
    if views and capacity > 1:
        assert kept[0] is views[0]


def test_the_most_redundant_leaves(make_view: Callable[..., Keyframe]) -> None:
    buffer = KeyframeBuffer(4)
    positions = [0.0, 2.0, 2.1, 4.0, 6.0]
    left = [buffer.add(make_view(str(x), (x, 0, 0))) for x in positions]
    assert [view.name if view else None for view in left] == [None] * 4 + ["2.0"]


def test_the_overlap_matrix_follows_removal(make_view: Callable[..., Keyframe]) -> None:
    buffer = KeyframeBuffer(3)
    for x in (0.0, 1.0, 1.3, 2.0, 3.0, 3.1):
        views = [*buffer.keyframes, make_view(str(x), (x, 0, 0))]
        prints = [Footprint.of(view) for view in views]
        shares = {
            view.name: max(overlap(a, b) for b in prints if b is not a)
            for view, a in list(zip(views, prints, strict=True))[1:-1]
        }
        left = buffer.add(views[-1])
        assert (left.name if left else None) == (
            max(shares, key=shares.__getitem__) if len(views) > 3 else None
        )


def test_clearing(make_view: Callable[..., Keyframe]) -> None:
    buffer = KeyframeBuffer(2)
    buffer.add(make_view())
    buffer.clear()
    assert buffer.keyframes == ()
    assert buffer.add(make_view()) is None
