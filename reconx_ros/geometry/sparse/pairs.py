"""Which views are worth matching with each other."""

from collections.abc import Collection, Sequence

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH, Footprint, overlap
from reconx_ros.keyframes.scale import scene_depth

LEAST_OVERLAP = 0.05


def overlapping_pairs(
    keyframes: Sequence[Keyframe], neighbours: int, metric: bool, wanted: Collection[int] | None = None
) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, of posed views in which each wanted view is matched.

    Up to ``neighbours + 1`` views are all matched with each other: an overlap that rests on a guessed
    depth then excludes nothing. Of more, each is matched with the ``neighbours`` it overlaps most.

    Args:
        keyframes: the views.
        neighbours: most partners of a view, chosen by itself; others may choose it too.
        metric: whether poses are in metres; else the depth of the scene is guessed from the poses.
        wanted: views whose partners are looked for; all where ``None``.
    """
    posed = [i for i, keyframe in enumerate(keyframes) if keyframe.posed]
    chosen = posed if wanted is None else [i for i in posed if i in wanted]
    if len(posed) <= neighbours + 1:
        return sorted({(min(i, j), max(i, j)) for i in chosen for j in posed if i != j})
    depth = NOMINAL_DEPTH if metric else scene_depth(keyframes)
    footprints = {i: Footprint.of(keyframes[i], depth) for i in posed}
    pairs: set[tuple[int, int]] = set()
    for i in chosen:
        shares = {j: overlap(footprints[i], footprints[j]) for j in posed if j != i}
        near = sorted((j for j in shares if shares[j] >= LEAST_OVERLAP), key=lambda j: (-shares[j], j))
        pairs |= {(min(i, j), max(i, j)) for j in near[:neighbours]}
    return sorted(pairs)
