"""Gaussians of a live map: views wait for them, and those of any SH degree join."""

from dataclasses import replace

import numpy as np
import pytest
from test_submaps import FAST, keyframe

from reconx_ros.config import load_config
from reconx_ros.errors import SplattingError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping import guesses
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Silent
from reconx_ros.splatting.views import observed_view


def mapper(degree: int = 1) -> IncrementalMapper:
    splatting = FAST["splatting"] | {"sh_degree": degree}
    return IncrementalMapper(load_config("fast", None, {"splatting": splatting}))


def whole(made: IncrementalMapper) -> Reconstruction:
    result = made.snapshot()
    assert result is not None
    return result


@pytest.mark.parametrize(("saved", "now"), [(0, 3), (1, 3), (3, 1)])
def test_a_map_of_another_degree_goes_on_with_the_higher_one(saved: int, now: int) -> None:
    first, again = mapper(saved), mapper(now)
    first.add(keyframe("0", 0.0))
    first.refine(0.2)
    before = whole(first)
    again.load(before)
    again.add(keyframe("1", 1.5))
    after = whole(again).gaussians
    assert after.sh_degree == max(saved, now)
    assert len(after) > len(before.gaussians)
    rows = before.gaussians.sh.shape[1]
    np.testing.assert_allclose(after.sh[: len(before.gaussians), :rows], before.gaussians.sh, atol=1e-6)
    assert not after.sh[: len(before.gaussians), rows:].any()
    assert again.refine(0.1) is not None


def test_a_map_that_is_not_valid_leaves_the_one_that_is_there() -> None:
    made = mapper()
    made.add(keyframe("0", 0.0))
    before = whole(made)
    broken = replace(before.gaussians, means=np.full_like(before.gaussians.means, np.nan))
    with pytest.raises(SplattingError, match="not finite"):
        made.load(replace(before, gaussians=broken))
    np.testing.assert_array_equal(whole(made).gaussians.means, before.gaussians.means)


def test_views_outlive_the_last_gaussian_and_train_again_when_there_are_some() -> None:
    made = mapper()
    made.add(keyframe("0", 0.0))
    made.add(keyframe("1", 0.2))
    everywhere = np.full(3, -100.0), np.full(3, 100.0)
    assert made.clear_box(*everywhere) > 0
    assert made.refine(0.1) is None
    made.add(keyframe("2", 0.4))
    report = made.refine(0.2)
    assert report is not None
    assert report.views == 3
    assert np.median(whole(made).gaussians.confidence) > 0.3


def test_a_view_that_came_before_any_gaussian_trains_when_there_are_some() -> None:
    view, made = keyframe("0", 0.0), mapper()
    pointmap = made.add(view)
    gaussians = mapper()._near.gaussians
    gaussians.add_views("0", [observed_view(view, pointmap)])
    assert len(gaussians) == 0
    gaussians.add(whole(made).gaussians, 1)
    report = gaussians.refine(0.1, Silent())
    assert report is not None
    assert report.views == 1
    assert report.steps > 0


def test_a_keyframe_that_fails_halfway_leaves_the_map_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    made, twin = mapper(), mapper()
    for each in (made, twin):
        for index in range(3):
            each.add(keyframe(str(index), 0.4 * index))
    before = whole(made)
    with monkeypatch.context() as patch, pytest.raises(SplattingError, match="no Gaussians here"):
        patch.setattr(guesses, "unexplained", refuse)  # the very last thing that is done
        made.add(keyframe("bad", 2.0))
    after = whole(made)
    assert [k.name for k in after.keyframes] == ["0", "1", "2"]
    for name in ("points", "confidence", "views"):
        np.testing.assert_array_equal(getattr(after.cloud, name), getattr(before.cloud, name))
    for name in ("means", "sh", "confidence"):
        np.testing.assert_array_equal(getattr(after.gaussians, name), getattr(before.gaussians, name))
    assert made.ids[1].tolist() == twin.ids[1].tolist()
    # Mapping goes on as if nothing had been.
    for each in (made, twin):
        each.add(keyframe("3", 2.0))
    np.testing.assert_array_equal(whole(made).cloud.points, whole(twin).cloud.points)
    np.testing.assert_array_equal(whole(made).gaussians.means, whole(twin).gaussians.means)
    assert made.submaps == twin.submaps
    report = made.refine(0.1)
    assert report is not None
    assert report.views == 4


def test_a_first_keyframe_that_cannot_be_optimised_leaves_nothing() -> None:
    splatting = FAST["splatting"] | {"rasterizer": "reference", "refine": {"poses": True}}
    made = IncrementalMapper(load_config("fast", None, {"splatting": splatting}))
    with pytest.raises(SplattingError, match="cannot fit cameras"):
        made.add(keyframe("0", 0.0))
    assert len(made._near.fusion) == 0
    assert made.submaps == (0, 0)


def refuse(*_: Keyframe) -> None:
    raise SplattingError("no Gaussians here")
