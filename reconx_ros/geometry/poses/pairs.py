"""Which photos to match."""

from collections.abc import Sequence
from itertools import combinations

from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.sparse.features import Features
from reconx_ros.geometry.sparse.matching import match

PREVIEW = 256
"""Largest features of a photo that tell which others are alike."""

Pair = tuple[int, int]


def candidate_pairs(features: Sequence[Features], config: PosesConfig) -> list[Pair]:
    """Return the pairs (i, j), i < j, that are worth a full match.

    All of a small set. In a larger one each photo is paired with the next, and with those that share
    most of its largest features (preemptive matching, Wu 2013).
    """
    count = len(features)
    if count <= config.exhaustive:
        return list(combinations(range(count), 2))
    heads = [Features(found.pixels[:PREVIEW], found.descriptors[:PREVIEW]) for found in features]
    every = list(combinations(range(count), 2))
    shared = {(i, j): len(match(heads[i], heads[j], config.max_ratio)) for i, j in every}
    pairs = {(i, i + 1) for i in range(count - 1)}
    for i in range(count):
        others = [(min(i, j), max(i, j)) for j in range(count) if j != i]
        likely = sorted((pair for pair in others if shared[pair]), key=lambda pair: (-shared[pair], pair))
        pairs |= set(likely[: config.neighbours])
    return sorted(pairs)
