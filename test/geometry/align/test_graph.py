from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reconx_ros.geometry.align.descriptors import describe
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, overlap


def unposed(keyframes: Sequence[Keyframe], stamps: bool = False) -> list[Keyframe]:
    return [
        replace(k, posed=False, depth=None, camera=k.camera.moved(np.eye(4)), stamp_ns=n if stamps else 0)
        for n, k in enumerate(keyframes)
    ]


def connected(pairs: list[tuple[int, int]], count: int) -> bool:
    reached, ends = {0}, set(pairs)
    for _ in range(count):
        reached |= {b for a, b in ends if a in reached}
    return len(reached) == count


def test_posed_views_pair_by_overlap_in_linear_number(walk: Sequence[Keyframe]) -> None:
    pairs = choose_pairs(walk, 2, True)
    assert set(pairs) == {(j, i) for i, j in pairs}
    assert len(pairs) <= 2 * 2 * len(walk)
    footprints = [Footprint.of(k) for k in walk]
    share = [overlap(footprints[i], footprints[j]) for i, j in pairs]
    others = [
        overlap(footprints[i], footprints[j])
        for i in range(10)
        for j in range(10)
        if i != j and (i, j) not in pairs
    ]
    assert np.median(share) > np.percentile(others, 90)
    assert {view for pair in choose_pairs(walk, 2, True, [7]) for view in pair} >= {7}
    assert all(7 in pair for pair in choose_pairs(walk, 2, True, [7]))


def test_unposed_views_pair_by_likeness_and_are_all_connected(walk: Sequence[Keyframe]) -> None:
    footprints = [Footprint.of(k) for k in walk]
    views = unposed(walk)
    pairs = choose_pairs(views, 2, True)
    assert connected(pairs, 10)
    assert len(pairs) <= 2 * (2 * 10 + 9)
    chosen = np.mean([overlap(footprints[i], footprints[j]) for i, j in pairs])
    everything = [overlap(footprints[i], footprints[j]) for i in range(10) for j in range(10) if i != j]
    assert chosen > 1.5 * np.mean(everything)
    order = np.random.default_rng(0).permutation(10)
    assert connected(choose_pairs([views[n] for n in order], 1, True), 10)


def test_stamps_add_consecutive_views(walk: Sequence[Keyframe]) -> None:
    pairs = set(choose_pairs(unposed(walk, stamps=True), 1, True))
    assert {(n, n + 1) for n in range(9)} <= pairs
    mixed = [
        k if n != 4 else view for n, (k, view) in enumerate(zip(walk, unposed(walk, True), strict=True))
    ]
    assert {(3, 4), (4, 5)} <= set(choose_pairs(mixed, 1, True))


def test_a_description_is_of_the_place_not_of_the_exposure(walk: Sequence[Keyframe]) -> None:
    image = walk[0].image
    darker = (image * 0.6).astype(np.uint8)
    same, other = describe(image) @ describe(darker), describe(image) @ describe(walk[5].image)
    assert (
        np.linalg.norm(describe(image)) == np.float32(1) or abs(np.linalg.norm(describe(image)) - 1) < 1e-5
    )
    assert same > 0.95
    assert same > other + 0.1
    blank = describe(np.zeros((48, 64, 3), np.uint8))
    assert np.isfinite(blank).all()


def test_one_view_has_no_pair_and_two_have_one(walk: Sequence[Keyframe]) -> None:
    assert choose_pairs(walk[:1], 4, True) == []
    assert choose_pairs(unposed(walk[:1]), 4, True) == []
    assert choose_pairs(unposed(walk[:2]), 4, True) == [(0, 1), (1, 0)]
