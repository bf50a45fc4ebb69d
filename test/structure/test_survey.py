from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.structure.overlap import shared, visible
from reconx_ros.structure.survey import COLUMNS, MOST_POINTS, Survey, coarse, survey

from .planning import Panel, camera, cloud, cloud_of, shot, wall


def known(planes: list[Panel], *cameras: object) -> Survey:
    found = survey(cloud_of(planes, cameras), cameras)  # type: ignore[arg-type]
    assert found is not None
    return found


@settings(deadline=None, max_examples=20)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-20, 20))
def test_a_sketch_shows_the_depth_that_is_there(x: float, z: float, yaw: float) -> None:
    planes = [wall(3, (0.6, 0.5)), wall(5)]
    seen_from = [camera(), camera(-0.8, yaw=10), camera(0.8, yaw=-10)]
    here = camera(x, 0, z, yaw)
    sketch = known(planes, *seen_from).draw(here)
    truth, which = shot(planes, coarse(here))
    # Away from the edges of the nearer panel, where its outermost points stick out.
    edge = np.zeros_like(which, dtype=bool)
    for down, right in product(range(-3, 4), repeat=2):
        edge |= np.roll(which, (down, right), (0, 1)) != which
    shown = sketch.front & ~edge
    assert shown.mean() > 0.3
    assert np.abs(sketch.depth[shown] / truth[shown] - 1).max() < 0.05
    assert sketch.unseen == pytest.approx(1 - sketch.front.mean())


def test_a_wall_from_behind_is_its_back() -> None:
    found = known([wall(2, (1, 0.7))], camera())
    behind = camera(0, 0, 4, yaw=180)
    sketch = found.draw(behind)
    assert sketch.back.mean() > 0.2
    assert not sketch.front.any()
    assert sketch.unseen == 1


def test_large_clouds_are_thinned_and_keep_their_most_confident_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-30, -30, 2], [30, 30, 40], (300_000, 3))
    many = cloud(points, np.zeros_like(points))
    many.confidence[:] = 2
    many.confidence[::7] = 50
    found = survey(many, [camera()])
    assert found is not None
    assert len(found.points) <= MOST_POINTS
    assert (found.confidence > 0.9).mean() > 0.9
    assert found.draw(camera()).depth.shape == (48, COLUMNS)


def test_points_that_are_not_finite_are_left_out() -> None:
    some = cloud_of([wall(2)], [camera()])
    some.points[::2] = np.nan
    found = survey(some, [camera()])
    assert found is not None
    assert np.isfinite(found.points).all()


def test_nothing_in_view_is_no_survey() -> None:
    assert survey(cloud_of([wall(2)], [camera()]), [camera(yaw=180)]) is None
    assert survey(cloud(np.zeros((0, 3)), np.zeros((0, 3))), [camera()]) is None


def test_visibility_is_geometry() -> None:
    # 64 pixels at f = 32 see 4 m of a wall 2 m ahead.
    views = [camera(x, focal=32, width=64) for x in (-2, 0, 1, 3)]
    found = known([wall(2)], *views)
    sets = [visible(found, found.draw(each)) for each in views]
    expected = np.abs(found.points[:, 0]) < 2
    assert (sets[1] == expected).mean() > 0.98
    assert shared(sets[1], sets[2]) == pytest.approx(0.75, abs=0.04)
    assert shared(sets[0], sets[3]) == pytest.approx(0, abs=0.02)
    assert shared(sets[0], np.zeros_like(sets[0])) == 0
    behind = found.draw(camera(0, 0, 4, yaw=180))
    assert not visible(found, behind).any()


def test_what_is_hidden_is_not_visible() -> None:
    planes = [wall(1, (0.3, 0.3)), wall(2)]
    eyes = [camera(), camera(-1), camera(1)]
    found = known(planes, *eyes)
    points = found.points
    seen = visible(found, found.draw(eyes[0]))
    shadow = (points[:, 2] > 1.5) & (np.abs(points[:, :2]) < 0.5).all(axis=1)
    assert np.count_nonzero(shadow) > 20
    assert not seen[shadow].any()
