"""Numbered series over a link that loses, repeats and delays: everything arrives once and in order."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.ros.series import Budget, Incoming, Outgoing


@given(st.integers(0, 2**31), st.floats(0, 0.6), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_everything_arrives_once_and_in_order(seed: int, loss: float, count: int) -> None:
    rng, now = random.Random(seed), 0.0
    wire: list[tuple[float, bytes]] = []
    acks: list[tuple[float, int]] = []
    got: list[int] = []

    def publish(data: bytes) -> None:
        if rng.random() >= loss:
            wire.append((now + rng.uniform(0, 0.5), data))

    out = Outgoing(
        lambda n: n.to_bytes(4, "big") * 50 if n < count else None, publish, Budget(0, 0.0), window=4
    )
    incoming = Incoming()
    while len(got) < count:
        now += 0.1
        assert now < 3000
        out.step(now)
        assert len(out) <= 4
        for one in sorted(w for w in wire if w[0] <= now):
            wire.remove(one)
            number = int.from_bytes(one[1][:4], "big")
            if incoming.accept(number):
                got.append(number)
            if rng.random() >= loss:
                acks.append((now + 0.2, incoming.expected))
        if rng.random() >= loss:
            acks.append((now, incoming.expected))  # the beat
        for at, expected in [a for a in acks if a[0] <= now]:
            acks.remove((at, expected))
            out.acknowledge(expected)
    assert got == list(range(count))


def test_the_rate_is_kept_and_repeats_count() -> None:
    sent: list[tuple[float, int]] = []
    now = 0.0
    out = Outgoing(lambda _: bytes(5000), lambda d: sent.append((now, len(d))), Budget(1e6, 0.0), window=3)
    for tick in range(1000):
        now = tick * 0.02
        out.step(now)
        if tick < 500:
            out.acknowledge(out._next)
    times, sizes = np.array(sent).T
    first = 8 * sizes[times < 10].sum() / 10
    assert first == pytest.approx(1e6, rel=0.06)
    repeats = times > 10.1
    assert 0 < 8 * sizes[repeats].sum() / 10 < 1e6


def test_after_a_break_what_is_under_way_is_sent_at_once() -> None:
    sent: list[bytes] = []
    out = Outgoing(lambda n: bytes([n]) if n < 2 else None, sent.append, Budget(0, 0.0))
    out.step(0.0)
    out.step(0.5)
    assert len(sent) == 2
    out.repeat()
    out.step(0.6)
    assert sent == [b"\0", b"\1"] * 2
