"""Which pairs of views are predicted: a window of neighbours each, never all pairs of a long run."""

from collections.abc import Collection, Sequence, Set
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.align.descriptors import describe
from reconx_ros.geometry.groups import Groups
from reconx_ros.geometry.sparse.pairs import overlapping_pairs
from reconx_ros.keyframes.keyframe import Keyframe

Pair = tuple[int, int]


def choose_pairs(
    keyframes: Sequence[Keyframe], neighbours: int, metric: bool, wanted: Collection[int] | None = None
) -> list[Pair]:
    """Return the pairs (i, j), both ways round, at most about ``2 * neighbours`` a view.

    Posed views pair with those that see the same (``overlapping_pairs``). A view without pose pairs with
    those that look most like it (``describe``) and those before and after it in time; pairs of the highest
    likeness are added until all views are connected.

    Args:
        keyframes: the views.
        neighbours: partners a view chooses.
        metric: whether poses are in metres.
        wanted: views whose pairs are needed; all where ``None``.
    """
    chosen = set(range(len(keyframes))) if wanted is None else set(wanted)
    pairs = set(overlapping_pairs(keyframes, neighbours, metric, chosen))
    if not all(keyframe.posed for keyframe in keyframes):
        likeness = _likeness(keyframes)
        pairs |= _by_likeness(keyframes, likeness, neighbours, chosen)
        pairs |= _in_time(keyframes, chosen)
        if wanted is None:
            pairs |= _connecting(pairs, likeness)
    return [pair for i, j in sorted(pairs) for pair in ((i, j), (j, i))]


def _likeness(keyframes: Sequence[Keyframe]) -> NDArray[np.float32]:
    described = np.stack([describe(keyframe.image) for keyframe in keyframes])
    likeness = described @ described.T
    np.fill_diagonal(likeness, -np.inf)
    return np.asarray(likeness, dtype=np.float32)


def _by_likeness(
    keyframes: Sequence[Keyframe], likeness: NDArray[np.float32], neighbours: int, chosen: Set[int]
) -> set[Pair]:
    pairs = set()
    for view in chosen:
        # A posed view has neighbours by overlap; those without pose choose it where they need it.
        if not keyframes[view].posed:
            best = np.argsort(-likeness[view], kind="stable")[: min(neighbours, len(keyframes) - 1)]
            pairs |= {(min(view, int(other)), max(view, int(other))) for other in best}
    return pairs


def _in_time(keyframes: Sequence[Keyframe], chosen: Set[int]) -> set[Pair]:
    """Return consecutive views, where their stamps say that they are."""
    stamps = [keyframe.stamp_ns for keyframe in keyframes]
    if any(later <= earlier for earlier, later in pairwise(stamps)):
        return set()
    near = {(i, i + 1) for i in range(len(keyframes) - 1)}
    return {p for p in near if chosen & set(p) and not all(keyframes[view].posed for view in p)}


def _connecting(pairs: set[Pair], likeness: NDArray[np.float32]) -> set[Pair]:
    """Return the pairs of highest likeness that make one group of all (Kruskal's spanning tree)."""
    groups = Groups(len(likeness))
    for i, j in pairs:
        groups.join(i, j)
    rows, columns = np.triu_indices(len(likeness), 1)
    alike = np.argsort(-likeness[rows, columns], kind="stable")
    likeliest = ((int(rows[place]), int(columns[place])) for place in alike)
    return {(i, j) for i, j in likeliest if groups.join(i, j)}
