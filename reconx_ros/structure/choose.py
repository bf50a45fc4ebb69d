"""Which of the clips that could be filmed are, given a number of frames."""

from collections.abc import Sequence

import numpy as np

from reconx_ros.structure.hopes import cells
from reconx_ros.structure.ledger import Ledger
from reconx_ros.structure.offers import CELL, Offer
from reconx_ros.structure.path import Knot, through
from reconx_ros.structure.route import route
from reconx_ros.structure.scene import Scene

FEWEST_BETWEEN = 3
"""Frames of a clip between keyframes, at least: both ends are known already."""

Choice = tuple[Offer, list[Knot]]
"""What is filmed, and the knots of its path."""


def lengths_between(gaps: int, count: int) -> list[int]:
    """Share ``count`` frames among chained clips of at least three, as many of ``gaps`` as fit."""
    number = min(gaps, (count - 1) // 2)
    if number < 1:
        return []
    return [len(part) + 1 for part in np.array_split(np.arange(count - 1), number)]


def lengths_of(count: int, clip: int) -> list[int]:
    """Share ``count`` >= 2 frames among clips of about ``clip``, and two or more, that share none."""
    number = max(1, min(round(count / clip), count // 2))
    return [len(part) for part in np.array_split(np.arange(count), number)]


def choose(
    scene: Scene,
    offers: Sequence[Offer],
    lengths: Sequence[int],
    count: int,
    notes: list[str],
    least: float | None = None,
) -> list[Choice]:
    """Choose an offer for each length, the most hopeful first, that has a free path.

    Args:
        scene: what is known.
        offers: what could be filmed.
        lengths: frames of each clip; a clip between keyframes is of three at least.
        count: frames in all; clips that meet at a keyframe share its frame.
        notes: gets a line for each path that was bent or left out, and for an early end.
        least: gain, as a share of a view's pixels, below which nothing more is chosen.
    """
    ledger, left = Ledger([offer.cells for offer in offers]), set(range(len(offers)))
    enough = -1.0 if least is None else least * next(iter(scene.sketches.values())).depth.size
    chosen: list[Choice] = []
    for length in lengths:
        gains = ledger.gains()
        for best in sorted(left, key=lambda at: -gains[at]):
            if gains[best] <= enough:
                notes.append(f"{len(chosen)} clips: no other view hopes for enough")
                return chosen
            made = _made(scene, offers[best], length, [offer for offer, _ in chosen], lengths, count, notes)
            left.discard(best)
            if made:
                chosen.append((offers[best], made))
                for camera in through(made)[1:]:
                    ledger.film(cells(scene.hopes(camera), CELL * scene.survey.depth))
                break
    return chosen


def _made(
    scene: Scene,
    offer: Offer,
    length: int,
    others: Sequence[Offer],
    lengths: Sequence[int],
    count: int,
    notes: list[str],
) -> list[Knot]:
    """Return the knots of a clip that fits and whose path is free; none where there is no such."""
    if (offer.between and length < FEWEST_BETWEEN) or _frames([*others, offer], lengths) > count:
        return []
    knots, note = route(offer.ends, length, scene.space, offer.ends[: 1 + offer.between])
    if note is not None:
        notes.append(f"{offer} {note}")
    return knots


def _frames(offers: Sequence[Offer], lengths: Sequence[int]) -> int:
    """Return how many frames clips of ``lengths`` are, those that meet at a keyframe sharing its frame."""
    starts = {offer.anchors[0] for offer in offers if offer.between}
    joins = sum(offer.anchors[1] in starts for offer in offers if offer.between)
    return sum(lengths[: len(offers)]) - joins
