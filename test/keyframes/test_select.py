from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.errors import ConfigError
from reconx_ros.keyframes import select
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import Verdict, select_evenly, select_keyframes, select_views
from reconx_ros.keyframes.selector import baseline, rotation_degrees
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

View = Callable[..., Keyframe]


@pytest.fixture(scope="module")
def kitchen(redkitchen_bag: Path) -> list[Keyframe]:
    with open_source(redkitchen_bag, SourceConfig()) as source:
        return list(source.frames())


def test_selection_of_a_real_bag(kitchen: list[Keyframe]) -> None:
    config, counts = KeyframeConfig(image_width=320), Counter[Verdict]()
    chosen = select_keyframes(iter(kitchen), config, counts=counts)
    again = select_keyframes(iter(kitchen), config)
    assert [k.name for k in chosen] == [k.name for k in again]
    assert counts.total() == len(kitchen) == 80
    assert counts[Verdict.ACCEPTED] == len(chosen)
    assert 12 <= len(chosen) <= 24
    assert counts[Verdict.BLURRED] <= 12
    assert {k.image.shape for k in chosen} == {(240, 320, 3)}
    for one, following in pairwise(chosen):
        moved = baseline(one.camera, following.camera) >= config.min_baseline
        assert moved or rotation_degrees(one.camera, following.camera) >= config.min_rotation


def test_selection_is_causal(kitchen: list[Keyframe]) -> None:
    config = KeyframeConfig()
    whole = [k.name for k in select_keyframes(kitchen, config)]
    half = [k.name for k in select_keyframes(kitchen[:40], config)]
    assert whole[: len(half)] == half


def test_at_most_capacity(kitchen: list[Keyframe]) -> None:
    chosen = select_keyframes(kitchen, KeyframeConfig(capacity=5))
    assert len(chosen) == 5
    assert chosen[0].name == select_keyframes(kitchen[:1], KeyframeConfig())[0].name


def test_the_scale_of_the_world_does_not_change_the_selection(make_view: View) -> None:
    def turn(scale: float) -> list[str]:
        angles = np.radians(np.arange(0, 90, 3))
        views = [
            make_view(str(i), (-scale * np.sin(a), 0, -scale * np.cos(a)), np.degrees(a), depth=None)
            for i, a in enumerate(angles)
        ]
        return [k.name for k in select_keyframes(views, KeyframeConfig(), metric=False)]

    assert turn(0.01) == turn(1) == turn(700)
    assert len(turn(1)) > 3


def test_evenly_gives_exactly_the_number_ends_included(make_view: View) -> None:
    views = [make_view(str(i)) for i in range(80)]
    for count in (2, 3, 8, 79, 80):
        chosen = [int(k.name) for k in select_evenly(iter(views), count)]
        assert chosen == [round(x) for x in np.linspace(0, 79, count)]
        assert len(set(chosen)) == count
    assert [k.name for k in select_evenly(views, 1)] == ["0"]


def test_evenly_skips_unposed_frames_and_reduces(make_view: View) -> None:
    views = [make_view(str(i), posed=i != 0) for i in range(4)]
    chosen = select_evenly(views, 2, image_width=32)
    assert [k.name for k in chosen] == ["1", "3"]
    assert chosen[0].image.shape == (24, 32, 3)


def test_evenly_over_a_long_recording_holds_few_frames(
    make_view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "HELD", 16)
    base, total = make_view(), 1003

    def frames() -> Iterator[Keyframe]:
        for i in range(total):
            yield Keyframe(str(i), i, base.image, base.camera)

    for count in (2, 5, 9):
        chosen = np.array([int(k.name) for k in select_evenly(frames(), count)])
        ideal = np.linspace(0, total - 1, count)
        assert np.abs(chosen - ideal).max() <= total / max(16, 8 * count)
        assert len(set(chosen)) == count
        assert chosen[-1] == total - 1


@pytest.mark.parametrize(("count", "message"), [(0, "at least 1"), (-2, "at least 1"), (4, "only 3 posed")])
def test_evenly_errors(make_view: View, count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select_evenly([make_view() for _ in range(3)], count)


def test_views_by_index(make_view: View) -> None:
    views = [make_view(str(i), posed=i != 5) for i in range(9)]
    assert [k.name for k in select_views(views, [7, 0, 3])] == ["0", "3", "7"]
    endless = iter(views)
    select_views(endless, [2])
    assert next(endless).name == "3"  # nothing is read past the last view


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([], "distinct"),
        ([-1], "distinct"),
        ([2, 2], "distinct"),
        ([1, 9], "view 9 is past"),
        ([5], "no pose"),
    ],
)
def test_views_errors(make_view: View, indices: list[int], message: str) -> None:
    views = [make_view(str(i), posed=i != 5) for i in range(9)]
    with pytest.raises(ConfigError, match=message):
        select_views(views, indices)
