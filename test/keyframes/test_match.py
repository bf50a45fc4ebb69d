"""Colour and depth are paired by stamp, whatever the order they arrive in."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.keyframes.match import DepthUse, StampMatcher

SLOP = 50

stamps = st.lists(st.integers(0, 2000), unique=True, max_size=20).map(sorted)


def reference(colours: list[int], depths: list[int]) -> list[tuple[int, int]]:
    """The rule over whole streams: nearest free depth in slop, unless the next colour is nearer."""
    pairs, free_from = [], 0
    for colour, following in itertools.zip_longest(colours, colours[1:]):
        free = [d for d in depths[free_from:] if abs(d - colour) <= SLOP]
        free = [d for d in free if following is None or abs(d - following) >= abs(d - colour)]
        if free:
            best = min(free, key=lambda d: (abs(d - colour), d))
            pairs.append((colour, best))
            free_from = depths.index(best) + 1
    return pairs


def run(
    arrivals: list[tuple[str, int]], use: DepthUse = "required", capacity: int = 100
) -> tuple[list, dict]:
    matcher: StampMatcher[int, int] = StampMatcher(SLOP, capacity, use)
    found = []
    for stream, stamp in arrivals:
        (matcher.push_colour if stream == "colour" else matcher.push_depth)(stamp, stamp)
        found += matcher.pop()
    found += matcher.flush()
    assert all(match.stamp_ns == match.colour for match in found)
    return [(match.colour, match.depth) for match in found], matcher.dropped


@settings(max_examples=200, deadline=None)
@given(stamps, stamps, st.randoms(use_true_random=False))
def test_any_interleaving_gives_the_pairs_of_the_rule(
    colours: list[int], depths: list[int], chance: object
) -> None:
    order = ["colour"] * len(colours) + ["depth"] * len(depths)
    chance.shuffle(order)
    left = {"colour": iter(colours), "depth": iter(depths)}
    pairs, dropped = run([(stream, next(left[stream])) for stream in order])
    assert pairs == reference(colours, depths)
    assert dropped["colour without depth"] == len(colours) - len(pairs)
    assert dropped["depth without colour"] == len(depths) - len(pairs)


@settings(max_examples=100, deadline=None)
@given(stamps, stamps)
def test_optional_depth_gives_out_every_colour_in_order(colours: list[int], depths: list[int]) -> None:
    arrivals = sorted(
        [("colour", c) for c in colours] + [("depth", d) for d in depths], key=lambda item: item[1]
    )
    pairs, _ = run(arrivals, "optional")
    assert [colour for colour, _ in pairs] == colours
    assert [pair for pair in pairs if pair[1] is not None] == reference(colours, depths)


def test_equal_stamps_are_paired_at_once() -> None:
    matcher: StampMatcher[str, str] = StampMatcher(SLOP)
    matcher.push_colour(100, "c")
    assert matcher.pop() == []
    matcher.push_depth(100, "d")
    assert [(m.colour, m.depth) for m in matcher.pop()] == [("c", "d")]


def test_without_depth_colour_passes_at_once() -> None:
    assert run([("colour", 1), ("colour", 2)], "none") == ([(1, None), (2, None)], {})


def test_what_waits_is_bounded() -> None:
    pairs, dropped = run([("colour", 1000 * i) for i in range(50)], capacity=5)
    assert pairs == [] and dropped == {"colour without depth": 50}
    matcher: StampMatcher[int, int] = StampMatcher(SLOP, capacity=5)
    for i in range(50):
        matcher.push_depth(1000 * i, i)
    matcher.push_colour(49_000, 0)
    matcher.push_colour(44_000, 1)  # its depth has left
    assert [(m.colour, m.depth) for m in matcher.flush()] == [(0, 49)]


def test_images_out_of_order_and_repeated_are_counted() -> None:
    arrivals = [
        ("colour", 100),
        ("depth", 100),
        ("colour", 50),
        ("depth", 100),
        ("colour", 200),
        ("colour", 200),
    ]
    pairs, dropped = run([*arrivals, ("depth", 200)])
    assert pairs == [(100, 100), (200, 200)]
    assert dropped == {"colour out of order": 1, "depth out of order": 1, "colour stamp repeated": 1}


def test_clear_allows_time_to_start_again() -> None:
    matcher: StampMatcher[int, int] = StampMatcher(SLOP)
    matcher.push_colour(1000, 1)
    matcher.push_depth(1000, 1)
    matcher.clear()
    assert matcher.pop() == []
    matcher.push_colour(10, 2)
    matcher.push_depth(10, 2)
    assert [m.colour for m in matcher.pop()] == [2]
