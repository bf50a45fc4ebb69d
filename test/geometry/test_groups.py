from hypothesis import given
from hypothesis import strategies as st

from reconx_ros.geometry.groups import Groups, groups


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20))
def test_groups_are_what_links_connect(count: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(i % count, j % count) for i, j in pairs]
    found = groups(count, pairs)
    assert sorted(i for group in found for i in group) == list(range(count))
    assert [len(group) for group in found] == sorted((len(group) for group in found), reverse=True)
    of = {i: number for number, group in enumerate(found) for i in group}
    assert all(of[i] == of[j] for i, j in pairs)
    joined = len({frozenset(pair) for pair in pairs if pair[0] != pair[1]})
    assert len(found) >= count - joined


def test_the_largest_comes_first_and_joining_says_what_was_apart() -> None:
    assert groups(7, [(0, 1), (3, 1), (5, 4)]) == [[0, 1, 3], [4, 5], [2], [6]]
    found = Groups(3)
    assert [found.join(*pair) for pair in ((0, 2), (2, 0), (1, 1), (1, 2))] == [True, False, False, True]
