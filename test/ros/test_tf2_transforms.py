"""The contract of ``Transforms``: the tree of our own and ``tf2_ros`` alike, and alike on the same data."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.ros.pose_source import Frames, LivePoses
from reconx_ros.ros.tf2_transforms import Tf2Transforms, has_tf2, live_transforms
from reconx_ros.sources.frame_graph import Reason, TransformError
from reconx_ros.sources.transforms import Transforms, TransformTree

Make = Callable[..., Transforms]
needs_tf2 = pytest.mark.skipif(not has_tf2(), reason="tf2_ros is not installed")
SECOND = 10**9
TURNED = (0.0, 0.0, np.sin(np.pi / 8), np.cos(np.pi / 8))  # 45 degrees about z
STRAIGHT = (0.0, 0.0, 0.0, 1.0)


@pytest.fixture(params=[TransformTree, pytest.param(Tf2Transforms, marks=needs_tf2)])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def moving(make: Make, *seconds: float, history_s: float = float("inf")) -> Transforms:
    transforms = make(history_s)
    for second in seconds:
        transforms.add("map", "base", round(second * SECOND), (second, 0, 0), STRAIGHT)
    transforms.add_static("base", "camera", (0, 1, 0), TURNED)
    transforms.add_static("other", "thing", (0, 0, 0), STRAIGHT)
    return transforms


def reason_of(transforms: Transforms, target: str, source: str, second: float, gap: float) -> Reason | None:
    try:
        transforms.lookup(target, source, round(second * SECOND), gap)
    except TransformError as err:
        return err.reason
    return None


def test_a_chain_is_composed_and_interpolated(make: Make) -> None:
    transforms = make()
    transforms.add("map", "base", SECOND, (1, 0, 0), STRAIGHT)
    transforms.add("map", "base", 2 * SECOND, (3, 0, 0), TURNED)
    transforms.add_static("base", "camera", (1, 0, 0), STRAIGHT)
    found = transforms.lookup("map", "camera", round(1.5 * SECOND))
    half = np.pi / 8
    np.testing.assert_allclose(found[:3, 3], [2 + np.cos(half), np.sin(half), 0], atol=1e-7)
    np.testing.assert_allclose(found[:2, :2], [[np.cos(half), -np.sin(half)], [np.sin(half), np.cos(half)]])
    back = transforms.lookup("camera", "map", round(1.5 * SECOND))
    np.testing.assert_allclose(back @ found, np.eye(4), atol=1e-7)
    np.testing.assert_array_equal(transforms.lookup("base", "base", 7), np.eye(4))


@pytest.mark.parametrize(
    ("target", "source", "second", "reason"),
    [
        ("map", "camera", 1.5, None),
        ("map", "camera", 4.0, None),
        ("map", "ghost", 1.5, Reason.UNKNOWN_FRAME),
        ("map", "thing", 1.5, Reason.NOT_CONNECTED),
        ("map", "camera", 0.9, Reason.TOO_EARLY),
        ("map", "camera", 0.0, Reason.TOO_EARLY),  # which tf2 alone takes for the newest
        ("camera", "map", 4.1, Reason.TOO_LATE),
        ("map", "base", 3.0, Reason.GAP),
        ("base", "camera", 99.0, None),
    ],
)
def test_each_failure_has_its_reason(
    make: Make, target: str, source: str, second: float, reason: Reason | None
) -> None:
    assert reason_of(moving(make, 1, 2, 4), target, source, second, 1.0) is reason


def test_frames_newest_and_what_is_connected(make: Make) -> None:
    transforms = moving(make, 1, 2)
    assert transforms.frames == ("base", "camera", "map", "other", "thing")
    assert transforms.newest("map", "camera") == transforms.newest("base", "map") == 2 * SECOND
    assert transforms.newest("base", "camera") is None and transforms.newest("map", "map") is None
    with pytest.raises(TransformError, match="no transform map -> ghost"):
        transforms.newest("map", "ghost")
    assert transforms.connected("camera", "map") and not transforms.connected("camera", "thing")


def test_clear_keeps_static_transforms_where_asked(make: Make) -> None:
    transforms = moving(make, 1, 2)
    transforms.clear(keep_static=True)
    assert reason_of(transforms, "map", "camera", 1.0, 1.0) is Reason.UNKNOWN_FRAME
    assert transforms.lookup("base", "camera", SECOND)[1, 3] == 1.0
    transforms.add("map", "base", SECOND // 2, (5, 0, 0), STRAIGHT)  # a bag loops: older than before
    assert transforms.lookup("map", "camera", SECOND // 2)[0, 3] == 5.0
    transforms.clear()
    assert transforms.frames == ()
    assert reason_of(transforms, "base", "camera", 1.0, 1.0) is Reason.UNKNOWN_FRAME


def test_history_is_kept_and_bounded(make: Make) -> None:
    transforms = moving(make, *np.arange(0.1, 60, 0.1), history_s=5.0)
    assert transforms.lookup("map", "base", 56 * SECOND)[0, 3] == pytest.approx(56)
    assert reason_of(transforms, "map", "base", 40.0, 1.0) is Reason.TOO_EARLY


def test_a_new_parent_and_a_static_one(make: Make) -> None:
    transforms = moving(make, 1, 2)
    transforms.add("odom", "base", 3 * SECOND, (7, 0, 0), STRAIGHT)
    assert transforms.lookup("odom", "base", 3 * SECOND)[0, 3] == 7.0
    assert not transforms.connected("map", "base")
    transforms.add_static("map", "base", (9, 0, 0), STRAIGHT)
    assert transforms.lookup("map", "camera", 55 * SECOND)[0, 3] == 9.0
    assert reason_of(transforms, "other", "map", 1.0, 1.0) is Reason.NOT_CONNECTED


@pytest.mark.parametrize(
    ("parent", "child", "there"),
    [
        ("camera", "map", "map -> base -> camera"),
        ("base", "/map", "map -> base"),
        ("camera", "base", "base -> camera"),
    ],
)
def test_what_closes_a_loop_is_named_and_not_used(make: Make, parent: str, child: str, there: str) -> None:
    transforms = moving(make, 1, 2)
    before = transforms.lookup("map", "camera", SECOND)
    line = f"transform {parent} -> {child.lstrip('/')} closes a loop: {there} is there already"
    assert transforms.add(parent, child, SECOND, (5, 0, 0), STRAIGHT) == line
    assert transforms.add_static(parent, child, (5, 0, 0), STRAIGHT) == line
    np.testing.assert_array_equal(transforms.lookup("map", "camera", SECOND), before)
    assert reason_of(transforms, "map", "thing", 1.0, 1.0) is Reason.NOT_CONNECTED


def test_the_map_may_have_a_parent_that_is_not_below_it(make: Make) -> None:
    """``earth -> map`` of REP 105, and robots whose body is the root of all frames."""
    transforms = moving(make, 1, 2)
    before = transforms.lookup("map", "camera", SECOND)
    assert transforms.add_static("earth", "map", (4e6, -5e6, 1e6), TURNED) == ""
    np.testing.assert_allclose(transforms.lookup("map", "camera", SECOND), before, atol=1e-12)
    assert transforms.lookup("earth", "map", SECOND)[1, 3] == -5e6


def test_a_loop_that_was_forgotten_is_none(make: Make) -> None:
    transforms = moving(make, 1, 2)
    transforms.clear(keep_static=True)
    assert transforms.add("base", "map", SECOND, (5, 0, 0), STRAIGHT) == ""
    assert transforms.lookup("map", "base", SECOND)[0, 3] == -5.0


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1)])
def test_what_is_no_transform_is_refused(make: Make, bad: tuple[float, ...]) -> None:
    transforms = make()
    assert "are no pose" in transforms.add("map", "base", 1, (0, 0, 0), bad)
    assert "[nan, 0, 0]" in transforms.add_static("map", "base", (np.nan, 0, 0), STRAIGHT)
    assert "two different frames" in transforms.add("base", "/base", 1, (0, 0, 0), STRAIGHT)
    assert "two different frames" in transforms.add("", "base", 1, (0, 0, 0), STRAIGHT)
    assert transforms.frames == ()


def test_a_translation_may_be_as_large_as_the_earth_and_no_larger(make: Make) -> None:
    transforms = make()
    assert transforms.add_static("utm", "map", (5e5, 9_999_999.5, 0), STRAIGHT) == ""
    line = "transform map -> base: translation [0, -1e+12, 3.5] goes beyond 1e+08 m"
    assert transforms.add("map", "base", 1, (0, -1e12, 3.5), STRAIGHT) == line
    assert transforms.frames == ("map", "utm")


def test_a_quaternion_of_any_length_and_a_name_with_a_slash(make: Make) -> None:
    transforms = make()
    assert transforms.add_static("/map", "base", (1, 2, 3), tuple(7.0 * q for q in TURNED)) == ""
    found = transforms.lookup("map", "/base", 1)
    np.testing.assert_allclose(found[:2, 0], [np.sqrt(0.5)] * 2)


def test_adding_and_looking_up_in_two_threads(make: Make) -> None:
    transforms, done = moving(make, 0.01, 0.02), threading.Event()

    def feed() -> None:
        for i in range(3, 3000):
            transforms.add("map", "base", i * 10**7, (i / 100, 0, 0), STRAIGHT)
        done.set()

    thread = threading.Thread(target=feed)
    thread.start()
    while not done.is_set():
        newest = transforms.newest("map", "base")
        assert newest is not None
        assert transforms.lookup("map", "base", newest)[0, 3] == pytest.approx(newest / 1e9)
    thread.join()


number = st.floats(-9, 9, allow_nan=False)
pose = st.tuples(
    st.tuples(number, number, number),
    st.tuples(number, number, number, number).filter(lambda q: np.linalg.norm(q) > 0.1),
)
FRAMES = ("map", "odom", "base", "camera", "arm")
entry = st.tuples(st.integers(1, len(FRAMES) - 1), st.integers(1, 40), pose)
question = st.tuples(st.sampled_from((*FRAMES, "ghost")), st.sampled_from(FRAMES), st.floats(0, 4.2))


@needs_tf2
@settings(max_examples=150, deadline=None)
@given(st.lists(entry, max_size=40, unique_by=lambda e: e[:2]), st.lists(question, max_size=12))
def test_tf2_and_the_tree_agree_on_the_same_data(entries: list, questions: list) -> None:
    tree, tf2 = TransformTree(30.0), Tf2Transforms(30.0)
    for child, tick, (place, turn) in entries:
        parent = FRAMES[2 if child == 4 else child - 1]
        for transforms in (tree, tf2):
            if child == 3:  # the camera is fixed to the base
                transforms.add_static(parent, FRAMES[child], place, turn)
            else:
                transforms.add(parent, FRAMES[child], tick * SECOND // 10, place, turn)
    assert tree.frames == tf2.frames
    for target, source, second in questions:
        why = reason_of(tree, target, source, second, 1.5)
        assert reason_of(tf2, target, source, second, 1.5) is why
        if why is None:
            stamp = round(second * SECOND)
            ours, theirs = tree.lookup(target, source, stamp), tf2.lookup(target, source, stamp)
            np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_live_poses_take_tf2_where_it_is_installed() -> None:
    kind = Tf2Transforms if has_tf2() else TransformTree
    assert type(live_transforms(30.0)) is kind
    assert type(LivePoses(Frames()).tf) is kind
