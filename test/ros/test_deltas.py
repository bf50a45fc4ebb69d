"""Clouds that travel as changes: whoever comes late or loses some ends up with what was sent."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.ros.cloud_message import delta_from_message, delta_message
from reconx_ros.ros.deltas import DeltaGapError, DeltaMaker, RowDelta, RowMirror, complete_delta
from reconx_ros.ros.messages import header
from reconx_ros.ros.row_changes import excess
from reconx_ros.ros.rows import CLOUD_TYPE, Rows, gaussian_type, joined


def cloud(ids: list[int], seed: int, kind: np.dtype[np.void] = CLOUD_TYPE) -> Rows:
    rng = np.random.default_rng(seed)
    rows = np.zeros(len(ids), kind)
    for name in rows.dtype.names or ():
        rows[name] = rng.uniform(0.1, 1, len(ids)) if rows.dtype[name].kind == "f" else 0
    rows["id"] = ids
    return rows


def same(got: Rows | None, wanted: Rows) -> bool:
    """Whether the rows agree, within what is not sent."""
    wanted = wanted[np.argsort(wanted["id"])]
    if got is None or len(got) != len(wanted) or (got["id"] != wanted["id"]).any():
        return False
    names = [n for n in wanted.dtype.names or () if n not in ("rgb", "id")]
    return all(np.allclose(got[n], wanted[n], atol=0.0101, rtol=0.02) for n in names)


def follow(follower: RowMirror, delta: RowDelta, sender: RowMirror) -> None:
    """Do what a subscriber does: on a gap, ask for the whole."""
    try:
        follower.apply(delta)
    except DeltaGapError:
        assert sender.rows is not None
        follower.apply(complete_delta(sender.version, sender.rows))  # what ~/get_gaussians answers


STEPS = st.lists(
    st.tuples(st.sets(st.integers(0, 30)), st.integers(0, 3), st.sampled_from(["keep", "lose", "twice"])),
    min_size=1,
    max_size=12,
)


@given(STEPS, st.sampled_from([CLOUD_TYPE, gaussian_type(4)]))
@settings(max_examples=60, deadline=None)
def test_a_lossy_link_ends_up_right_or_knows_that_it_is_not(
    steps: list[tuple[set[int], int, str]], kind: np.dtype[np.void]
) -> None:
    maker, mirror, follower = DeltaMaker(), RowMirror(), RowMirror()
    for ids, seed, fate in steps:
        rows = cloud(sorted(ids, reverse=True), seed, kind)
        delta = maker.make(rows)
        mirror.apply(delta)
        assert same(mirror.rows, rows)
        for _ in range({"lose": 0, "keep": 1, "twice": 2}[fate]):
            follow(follower, delta, mirror)
        if fate != "lose":
            assert follower.version == mirror.version
            assert same(follower.rows, rows)


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 20)), st.integers(0, 3), st.sampled_from(["as it is", "moved", "other"])
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_what_lies_still_is_right_too(steps: list[tuple[set[int], int, str]]) -> None:
    """Rows come to rest, lie there, are moved where they lie, and come back."""
    maker, mirror = DeltaMaker(), RowMirror()
    still = cloud([], 0)
    for number, (ids, seed, fate) in enumerate(steps):
        if fate == "moved":
            still = cloud(still["id"].tolist(), 100 + number)
        elif fate == "other":
            still = cloud(sorted(set(range(20)) - ids), 100 + number)
        rows = cloud(sorted(ids - set(still["id"].tolist()), reverse=True), seed)
        mirror.apply(maker.make(rows, still=still))
        assert same(mirror.rows, joined([rows, still]))
        others = sorted((ids ^ {1, 5, 21}) - set(still["id"].tolist()))
        rows = cloud(others, 10 + seed)  # some come, some go, while the rest lies still
        delta = maker.make(rows, still=still)
        assert not np.isin(delta.changed["id"], still["id"]).any()
        mirror.apply(delta)
        assert same(mirror.rows, joined([rows, still]))


def test_what_lies_still_is_not_looked_at_again() -> None:
    maker = DeltaMaker()
    rows, still = cloud([0, 5], 1), cloud([1, 2, 9], 2)
    maker.make(rows, still=still)
    still["x"] += 1.0  # nobody does; but if they did, it would not be seen
    assert len(maker.make(rows, still=still).changed) == 0
    assert maker.make(rows, still=still.copy()).changed["id"].tolist() == [1, 2, 9]


def test_only_what_changed_visibly_travels_and_small_changes_add_up() -> None:
    maker, mirror = DeltaMaker(), RowMirror()
    rows = cloud(list(range(100)), 1)
    mirror.apply(maker.make(rows))
    rows = rows.copy()
    rows["x"][7] += 0.01
    delta = maker.make(rows[:90])
    assert delta.changed["id"].tolist() == [7]
    assert delta.removed.tolist() == list(range(90, 100))
    mirror.apply(delta)
    assert mirror.rows is not None
    assert mirror.rows.dtype == CLOUD_TYPE  # padding and all
    for _ in range(10):  # 0.2 mm at a time: none is sent on its own, but they do not get lost
        rows["y"] += 2e-4
        mirror.apply(maker.make(rows[:90]))
    assert mirror.rows is not None
    assert np.abs(mirror.rows["y"] - rows["y"][:90]).max() <= 5.1e-4


def test_the_farthest_go_first_and_nothing_is_forgotten() -> None:
    maker, mirror = DeltaMaker(), RowMirror()
    kind = gaussian_type(1)
    rows = cloud(list(range(100)), 1, kind)
    mirror.apply(maker.make(rows))
    moved = cloud(list(range(10, 105)), 1, kind)
    both = np.intersect1d(moved["id"], rows["id"])
    moved["x"][:90] = rows["x"][both] + np.linspace(1e-3, 9e-2, 90)  # by 1 mm to 90 mm
    for name in kind.names or ():
        if name != "x":
            moved[name][:90] = rows[name][10:]
    for turn, sent in enumerate((30, 30, 30, 5)):
        delta = maker.make(moved, most=30)
        mirror.apply(delta)
        assert mirror.rows is not None
        assert len(delta.changed) == sent  # five of the first are new
        assert delta.removed.tolist() == (list(range(10)) if turn == 0 else [])
        waiting = max(0, 90 - (25 + 30 * turn))
        assert maker.left == waiting
        # Those that wait have moved by 1, 2, ... mm.
        assert np.abs(mirror.rows["x"] - moved["x"]).max() == pytest.approx(1e-3 * waiting, abs=1e-5)
    assert same(mirror.rows, moved)
    # More new rows than there is room for: they go all the same, the others wait.
    more = cloud(list(range(10, 200)), 2, kind)
    mirror.apply(maker.make(more, most=30))
    assert mirror.rows is not None
    assert len(mirror.rows) == 190
    assert maker.left == 95


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_with_little_room_a_cloud_that_rests_is_reached_all_the_same(seeds: list[int], most: int) -> None:
    maker, mirror = DeltaMaker(), RowMirror()
    ids = list(range(60))
    for seed in seeds:
        rows = cloud(ids, seed, gaussian_type(4))
        mirror.apply(maker.make(rows, 6.0, most))
    for _ in range(70):
        mirror.apply(maker.make(rows, 1.0, max(most, 1)))
        if not maker.left:
            break
    assert same(mirror.rows, rows)


def test_averaging_a_points_colour_is_not_worth_a_row() -> None:
    maker = DeltaMaker()
    rows = cloud([1, 2, 3], 1)
    rows["rgb"].view(np.uint32)[:] = 0x00808080
    maker.make(rows)
    rows = rows.copy()
    rows["rgb"].view(np.uint32)[:] = [0x00828080, 0x00807D80, 0x00808080]
    assert maker.make(rows).changed["id"].tolist() == [2]


def test_a_point_of_another_colour_travels() -> None:
    maker = DeltaMaker()
    rows = cloud([1, 2], 1)
    maker.make(rows)
    rows = rows.copy()
    rows["rgb"][1:].view(np.uint32)[:] = 0x00FF8040  # a NaN-free float by chance or not: bits count
    assert maker.make(rows).changed["id"].tolist() == [2]


def test_wrong_ids_are_noticed() -> None:
    maker, mirror = DeltaMaker(), RowMirror()
    mirror.apply(maker.make(cloud([1, 2, 3], 1)))
    good = maker.make(cloud([1, 2, 3, 4], 1))
    bad = RowDelta(good.version, good.base_version, 4, good.checksum + 1, good.removed, good.changed)
    with pytest.raises(DeltaGapError, match="ask for the whole"):
        mirror.apply(bad)
    mirror.apply(good)
    assert mirror.version == good.version


def test_a_delta_survives_the_message() -> None:
    maker = DeltaMaker()
    maker.make(cloud([1, 2, 3], 1, gaussian_type(1)))
    delta = maker.make(cloud([2, 3, 9], 2, gaussian_type(1)))
    back = delta_from_message(delta_message(delta, header("map", 7)))
    assert (back.version, back.base_version, back.count, back.checksum) == (2, 1, 3, delta.checksum)
    np.testing.assert_array_equal(back.removed, delta.removed)
    assert back.changed.tobytes() == delta.changed.tobytes()


def test_whatever_bits_the_padding_has_nothing_is_sent_and_nobody_is_warned() -> None:
    rows = cloud([1, 2], seed=0)
    (_, begin, *_) = (rows.dtype.fields or {})["provenance"]
    again = rows.copy()
    for part, bits in ((rows, b"\x7f\x7f\x7f"), (again, b"\x7f\x7f\xff")):  # plus and minus 3e38
        part.view(np.uint8).reshape(2, -1)[:, begin + 1 : begin + 4] = np.frombuffer(bits, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (excess(rows, again) == 0).all()
