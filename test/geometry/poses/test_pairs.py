import numpy as np

from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.pairs import candidate_pairs
from reconx_ros.geometry.sparse.features import Features


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
