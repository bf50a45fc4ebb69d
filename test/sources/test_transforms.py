"""The frame tree against matrices and scipy."""

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from reconx_ros.sources.frame_graph import Reason, TransformError
from reconx_ros.sources.rigid import matrix_from_pose, pose_from_matrix, rigid_inverse
from reconx_ros.sources.transforms import TransformTree

number = st.floats(-10, 10, allow_nan=False)
vector = st.tuples(number, number, number).map(np.array)
quaternion = (
    st.tuples(number, number, number, number).map(np.array).filter(lambda q: np.linalg.norm(q) > 1e-2)
)
pose = st.tuples(vector, quaternion)


def matrix(translation: np.ndarray, quaternion_xyzw: np.ndarray) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat(quaternion_xyzw).as_matrix()
    result[:3, 3] = translation
    return result


@given(pose)
def test_pose_and_matrix_round_trip(pose: tuple[np.ndarray, np.ndarray]) -> None:
    expected = matrix(*pose)
    translation, unit = pose_from_matrix(expected)
    np.testing.assert_allclose(matrix_from_pose(translation, unit), expected, atol=1e-9)
    np.testing.assert_allclose(rigid_inverse(expected) @ expected, np.eye(4), atol=1e-9)
    assert unit[3] >= 0


@settings(deadline=None)
@given(st.lists(pose, min_size=1, max_size=5), st.lists(pose, min_size=1, max_size=5))
def test_lookup_composes_along_both_branches(left: list, right: list) -> None:
    tree = TransformTree()
    expected = {}
    for side, poses in (("left", left), ("right", right)):
        total, parent = np.eye(4), "root"
        for depth, item in enumerate(poses):
            tree.add_static(parent, f"{side}{depth}", *item)
            parent, total = f"{side}{depth}", total @ matrix(*item)
        expected[side] = (parent, total)
    (a, root_from_a), (b, root_from_b) = expected["left"], expected["right"]
    np.testing.assert_allclose(tree.lookup(a, b, 0), np.linalg.inv(root_from_a) @ root_from_b, atol=1e-6)
    np.testing.assert_allclose(tree.lookup(b, a, 0) @ tree.lookup(a, b, 0), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(tree.lookup("root", a, 0), root_from_a, atol=1e-6)
    np.testing.assert_array_equal(tree.lookup(a, a, 0), np.eye(4))


@settings(deadline=None)
@given(pose, pose, st.floats(0, 1))
def test_interpolation_is_lerp_and_slerp(first: tuple, second: tuple, share: float) -> None:
    tree = TransformTree()
    begin, end = 10**9, 2 * 10**9
    tree.add("map", "base", begin, *first)
    tree.add("map", "base", end, *second)
    stamp = begin + round(share * (end - begin))
    share = (stamp - begin) / (end - begin)
    rotations = Rotation.from_quat([first[1], second[1]])
    result = tree.lookup("map", "base", stamp)
    np.testing.assert_allclose(result[:3, 3], (1 - share) * first[0] + share * second[0], atol=1e-9)
    if (rotations[0].inv() * rotations[1]).magnitude() < np.pi - 1e-3:  # half a turn has two shortest ways
        np.testing.assert_allclose(result[:3, :3], Slerp([0, 1], rotations)(share).as_matrix(), atol=1e-6)
    np.testing.assert_allclose(tree.lookup("map", "base", begin), matrix(*first), atol=1e-9)
    np.testing.assert_allclose(tree.lookup("map", "base", end), matrix(*second), atol=1e-9)


def moving(*stamps: int, history_s: float = float("inf")) -> TransformTree:
    tree = TransformTree(history_s)
    for stamp in stamps:
        tree.add("map", "base", stamp, (stamp / 1e9, 0, 0), (0, 0, 0, 1))
    tree.add_static("other", "thing", (0, 0, 0), (0, 0, 0, 1))
    return tree


@pytest.mark.parametrize(
    ("target", "source", "stamp", "reason"),
    [
        ("map", "ghost", 0, Reason.UNKNOWN_FRAME),
        ("map", "thing", 0, Reason.NOT_CONNECTED),
        ("map", "base", 99, Reason.TOO_EARLY),
        ("base", "map", 4_000_000_001, Reason.TOO_LATE),
        ("map", "base", 2_000_000_000, Reason.GAP),
    ],
)
def test_each_failure_has_its_reason(target: str, source: str, stamp: int, reason: Reason) -> None:
    tree = moving(100, 1_000_000_000, 4_000_000_000)
    with pytest.raises(TransformError) as caught:
        tree.lookup(target, source, stamp, max_gap_s=1.0)
    assert caught.value.reason is reason and "\n" not in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.reason is reason and str(copy) == str(caught.value)
    if reason in (Reason.UNKNOWN_FRAME, Reason.NOT_CONNECTED):
        assert "frames seen: base, map, other, thing" in str(caught.value)


def test_a_stamp_in_the_record_needs_no_neighbours() -> None:
    tree = moving(1_000_000_000)
    assert tree.lookup("map", "base", 1_000_000_000, max_gap_s=0.0)[0, 3] == 1.0


@given(st.permutations(range(12)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    tree = moving(*(i * 1_000_000_000 for i in order))
    assert tree.lookup("map", "base", 5_250_000_000)[0, 3] == pytest.approx(5.25)


def test_history_is_bounded() -> None:
    tree = moving(*range(0, 10_000 * 10**8, 10**8), history_s=5.0)
    newest = 9_999 * 10**8
    assert tree.newest("map", "base") == newest
    assert tree.lookup("map", "base", newest - 4 * 10**9)[0, 3] == pytest.approx((newest - 4 * 10**9) / 1e9)
    with pytest.raises(TransformError) as caught:
        tree.lookup("map", "base", newest - 20 * 10**9)
    assert caught.value.reason is Reason.TOO_EARLY


def test_clear_may_keep_static_transforms() -> None:
    tree = moving(0, 10**9)
    tree.clear(keep_static=True)
    assert tree.frames == ("other", "thing")
    tree.clear()
    assert tree.frames == ()


def test_a_new_parent_takes_the_place_of_the_old_one() -> None:
    tree = moving(0, 10**9)
    assert tree.add("odom", "base", 10**9, (0, 0, 0), (0, 0, 0, 1)) == ""
    assert not tree.connected("map", "base") and tree.connected("odom", "base")


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1)])
def test_what_is_no_rotation_is_refused(bad: tuple[float, ...]) -> None:
    tree = TransformTree()
    assert "are no pose" in tree.add("map", "base", 0, (0, 0, 0), bad)
    assert "[nan, 0, 0]" in tree.add_static("map", "base", (np.nan, 0, 0), (0, 0, 0, 1))
    assert "two different frames" in tree.add("base", "base", 0, (0, 0, 0), (0, 0, 0, 1))
    assert tree.frames == ()


edge = st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.booleans())


@settings(deadline=None)
@given(st.lists(edge, max_size=30))
def test_whatever_is_added_there_is_never_a_loop(edges: list[tuple[str, str, bool]]) -> None:
    tree, parents = TransformTree(), dict[str, str]()
    for parent, child, static in edges:
        above = [parent]
        while above[-1] in parents:
            above.append(parents[above[-1]])
        place, turn = (1, 0, 0), (0, 0, 0, 1)
        refused = (
            tree.add_static(parent, child, place, turn)
            if static
            else tree.add(parent, child, 7, place, turn)
        )
        assert bool(refused) == (child in above)
        if not refused:
            parents[child] = parent
    for child, parent in parents.items():
        assert tree.lookup(parent, child, 7)[0, 3] == 1.0
    assert set(tree.frames) == {*parents, *parents.values()}


def test_ros1_names_with_a_slash_are_the_same_frames() -> None:
    tree = TransformTree()
    tree.add_static("/map", "base", (1, 2, 3), (0, 0, 0, 1))
    np.testing.assert_array_equal(tree.lookup("map", "/base", 0)[:3, 3], [1, 2, 3])


def test_adding_and_looking_up_in_two_threads() -> None:
    tree = moving(0, 10**7)
    done = threading.Event()

    def feed() -> None:
        for i in range(2, 20_000):
            tree.add("map", "base", i * 10**7, (i / 100, 0, 0), (0, 0, 0, 1))
        done.set()

    thread = threading.Thread(target=feed)
    thread.start()
    looked = 0
    while not done.is_set():
        newest = tree.newest("map", "base")
        assert newest is not None
        assert tree.lookup("map", "base", newest)[0, 3] == pytest.approx(newest / 1e9)
        looked += 1
    thread.join()
    assert looked > 10
