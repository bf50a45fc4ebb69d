import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.pairs import candidate_pairs, groups
from reconx_ros.geometry.sparse.features import Features


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


def ring(count: int) -> list[Features]:
    """Photos on a ring: each shares half of its features with the next."""
    random = np.random.default_rng(0)
    pool = random.random((count * 20, 32)) ** 6
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    views = []
    for i in range(count):
        rows = np.arange(i * 20, i * 20 + 40) % len(pool)
        pixels = random.uniform(0, 500, (40, 2)).astype(np.float32)
        views.append(Features(pixels, pool[rows].astype(np.float32)))
    return views


def test_a_small_set_is_matched_exhaustively_and_a_large_one_by_likeness() -> None:
    views = ring(30)
    assert len(candidate_pairs(views[:6], PosesConfig(exhaustive=6))) == 15
    shuffled = [views[(7 * i) % 30] for i in range(30)]
    pairs = set(candidate_pairs(shuffled, PosesConfig(exhaustive=6, neighbours=2)))
    assert len(pairs) <= 3 * 30
    place = {(7 * i) % 30: i for i in range(30)}
    neighbours = {tuple(sorted((place[i], place[(i + 1) % 30]))) for i in range(30)}
    assert neighbours <= pairs
