"""Clouds that travel as changes: whoever comes late or loses some ends up with what was sent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.ros.cloud_message import delta_from_message, delta_message
from reconx_ros.ros.deltas import DeltaGapError, DeltaMaker, RowDelta, RowMirror
from reconx_ros.ros.messages import header
from reconx_ros.ros.rows import CLOUD_TYPE, Rows, gaussian_type


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
        whole = sender.whole()  # what ~/get_gaussians answers
        assert whole is not None
        follower.apply(whole)


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
