from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, _apart, _measured, overlap, seen_share

small = st.floats(-3, 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.tuples(small, small, small),
    st.tuples(small, small, small),
    st.floats(-180, 180),
    st.sampled_from([None, 0.5, 2.0, 6.0]),
    st.sampled_from([None, 0.5, 2.0, 6.0]),
)
def test_overlap_is_symmetric_and_a_share(
    make_view: Callable[..., Keyframe],
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    yaw: float,
    near: float | None,
    far: float | None,
) -> None:
    a = Footprint.of(make_view(centre=first, depth=near))
    b = Footprint.of(make_view(centre=second, yaw=yaw, depth=far))
    assert overlap(a, b) == overlap(b, a)
    assert 0 <= overlap(a, b) <= min(seen_share(a, b), seen_share(b, a)) <= 1
    assert overlap(a, a) == overlap(b, b) == 1
    for one, other in ((a, b), (b, a)):  # what is told from a ball round all samples, told from each
        if _apart(one, other):
            assert not _measured(one, other)[0].any()


def test_views_of_different_places_are_apart(make_view: Callable[..., Keyframe]) -> None:
    here, away = Footprint.of(make_view()), Footprint.of(make_view(centre=(20, 0, 0)))
    behind = Footprint.of(make_view(centre=(0, 0, -5), yaw=180))
    assert _apart(here, away)
    assert _apart(behind, here)
    assert not _apart(here, here)


@pytest.mark.parametrize("depth", [2.0, None])
def test_a_shift_along_a_wall_leaves_the_share_that_geometry_gives(
    make_view: Callable[..., Keyframe], depth: float | None
) -> None:
    # 64 pixels at f = 32 see 4 m of a wall (measured, or assumed) 2 m ahead.
    still, moved = make_view(depth=depth), make_view(centre=(1.0, 0, 0), depth=depth)
    assert overlap(Footprint.of(still), Footprint.of(moved)) == pytest.approx(0.75, abs=0.02)


def test_a_closer_look_is_new(make_view: Callable[..., Keyframe]) -> None:
    still, closer = make_view(depth=4.0), make_view(centre=(0, 0, 2), depth=2.0)
    assert seen_share(Footprint.of(closer), Footprint.of(still)) == 1
    assert overlap(Footprint.of(closer), Footprint.of(still)) == pytest.approx(0.25, abs=0.03)


def test_back_to_back_views_share_nothing(make_view: Callable[..., Keyframe]) -> None:
    assert overlap(Footprint.of(make_view()), Footprint.of(make_view(yaw=180))) == 0


def test_what_lies_behind_a_measured_surface_is_not_seen(make_view: Callable[..., Keyframe]) -> None:
    screen, room = make_view(depth=1.0), make_view(depth=4.0)
    assert seen_share(Footprint.of(room), Footprint.of(screen)) == 0
    assert seen_share(Footprint.of(screen), Footprint.of(room)) == 1


def test_unknown_depth_lies_at_the_median(make_view: Callable[..., Keyframe]) -> None:
    view = make_view(depth=3.0)
    holes = view.depth.copy()
    holes[:, 20:40] = np.nan
    holed = Footprint.of(replace(view, depth=holes))
    assert np.allclose(holed.points, Footprint.of(view).points)
    assert np.isnan(holed.depth).any()
