from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.structure.ledger import Cells, Ledger, joined

OFFERS = st.lists(
    st.dictionaries(st.integers(-9, 9), st.floats(0.125, 4, width=32), max_size=6), min_size=1, max_size=6
)


def packed(offer: dict[int, float]) -> Cells:
    keys = sorted(offer)
    return np.array(keys, np.int64), np.array([offer[key] for key in keys], np.float32)


def value(offers: list[dict[int, float]]) -> float:
    keys = {key for offer in offers for key in offer}
    return sum(max(offer.get(key, 0) for offer in offers) for key in keys)


@settings(deadline=None)
@given(OFFERS, OFFERS)
def test_gain_is_what_filming_adds(offers: list[dict[int, float]], filmed: list[dict[int, float]]) -> None:
    ledger = Ledger([packed(offer) for offer in offers])
    for frame in filmed:
        ledger.film(packed(frame))
    expected = [value([*filmed, offer]) - value(filmed) for offer in offers]
    assert ledger.gains() == pytest.approx(expected, abs=1e-5)
    assert dict(zip(*(part.tolist() for part in joined([packed(f) for f in filmed])), strict=True)) == (
        {key: max(f.get(key, 0) for f in filmed) for key in {key for f in filmed for key in f}}
    )


@settings(deadline=None)
@given(OFFERS)
def test_greedy_is_near_the_best_choice(offers: list[dict[int, float]]) -> None:
    pairs = list(combinations(offers, 2)) or [(offers[0], {})]
    ledger, chosen = Ledger([packed(offer) for offer in offers]), []
    for _ in range(2):
        best = int(np.argmax(ledger.gains()))
        chosen.append(offers[best])
        ledger.film(packed(offers[best]))
    assert value(chosen) >= (1 - 1 / np.e) * max(value(list(pair)) for pair in pairs) - 1e-5


def test_no_offers() -> None:
    ledger = Ledger([])
    ledger.film(packed({1: 1.0}))
    assert len(ledger.gains()) == 0
