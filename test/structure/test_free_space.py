import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.structure.free_space import FreeSpace
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.survey import survey

from .planning import Panel, camera, cloud_of, wall


def space(
    planes: list[Panel], *cameras: object, clearance: float = 0.08, venture: float = 0.1
) -> FreeSpace:
    found = survey(cloud_of(planes, cameras), cameras)  # type: ignore[arg-type]
    assert found is not None
    sketches = [found.draw(each) for each in cameras]  # type: ignore[arg-type]
    return FreeSpace(found, sketches, clearance, venture)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_carved_is_what_a_view_saw_through(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = rng.uniform(-1, 1)
    free = space([wall(1.5, (0.4, 0.4), at), wall(3)], camera())
    points = rng.uniform([-2, -1.5, -1], [2, 1.5, 4], (400, 3))
    x, y, z = points.T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = x / z, y / z  # pixels are 1/48 apart
    in_view = (z > 0) & (np.abs(u) < 80 / 120) & (np.abs(v) < 60 / 120)
    behind = (np.abs(1.5 * u - at) < 0.4) & (np.abs(1.5 * v) < 0.4)
    border = np.abs(np.abs(1.5 * u - at) - 0.4) < 0.1
    border |= np.abs(np.abs(1.5 * v) - 0.4) < 0.1
    border |= (np.abs(np.abs(u) - 80 / 120) < 0.02) | (np.abs(np.abs(v) - 60 / 120) < 0.02)
    surface = np.where(behind, 1.5, 3)
    border |= np.abs(z / surface - 0.95) < 0.02
    assert np.array_equal(free.carved(points)[~border], (in_view & (z < 0.95 * surface))[~border])


def test_distance_is_that_to_the_surface() -> None:
    free = space([wall(2)], camera())
    points = np.column_stack([np.zeros(5), np.zeros(5), np.linspace(0.2, 1.8, 5)])
    assert np.allclose(free.distance(points), 2 - points[:, 2], atol=0.01)


def test_a_way_through_a_wall_is_refused_with_its_reason() -> None:
    free = space([wall(1.5, (0.5, 0.5)), wall(4)], camera(), camera(-1.2), camera(1.2))
    through = interpolate(camera(), camera(z=2.5), 5)
    beside = interpolate(camera(-1.2), camera(-1.2, z=2.5), 5)
    assert "passes within" in str(free.obstacle(through, [camera()]))
    assert free.obstacle(beside, [camera(-1.2)]) is None


def test_a_thin_panel_between_two_frames_is_not_jumped() -> None:
    free = space([wall(1.5, (0.5, 0.5)), wall(4)], camera(), camera(-1.2), camera(1.2))
    assert free.obstacle([camera(z=0.5), camera(z=2.5)], []) is not None


def test_unseen_space_may_be_entered_only_near_a_keyframe() -> None:
    free = space([wall(2)], camera(), venture=0.1)
    assert free.obstacle(interpolate(camera(), camera(z=-0.15), 3), [camera()]) is None
    why = free.obstacle(interpolate(camera(), camera(z=-0.5), 3), [camera()])
    assert why is not None
    assert "no view saw" in why
    free_at = free.free(np.array([[0, 0, -0.15], [0, 0, -0.5], [0, 0, 1.95], [0, 0, 1.0]]))
    assert free_at.tolist() == [True, False, False, True]


def test_a_keyframe_near_a_surface_may_leave_it_but_not_come_nearer() -> None:
    side = Panel(0, 0.1, (0, -9, -9), (0, 9, 9))
    free = space([side, wall(2)], camera(), clearance=0.12)
    assert free.clearance > 0.12
    assert free.obstacle(interpolate(camera(), camera(-0.15), 5), [camera()]) is None
    assert free.obstacle(interpolate(camera(), camera(-0.15), 5), []) is not None
    assert free.obstacle(interpolate(camera(), camera(0.07), 5), [camera()]) is not None
    assert free.free(np.zeros((1, 3))).all()


def test_gaps_between_thinned_points_are_closed() -> None:
    free = space([wall(2)], camera(), clearance=0.0)
    assert free.clearance == pytest.approx(3**0.5 * 2 / 48, rel=0.4)
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-1, 1, (500, 2)), np.full(500, 2.0)])
    assert (free.distance(points) < free.clearance).all()


def test_between_two_keyframes_unseen_space_may_be_entered_near_their_line() -> None:
    ends = [camera(), camera(0.8)]  # side by side: neither sees the way
    free = space([wall(2)], *ends, venture=0.1)
    path = interpolate(*ends, 5)
    assert free.obstacle(path, ends) is None
    assert "no view saw" in str(free.obstacle(path, ends[:1]))
    detour = [ends[0], camera(0.4, -0.5), ends[1]]
    assert "no view saw" in str(free.obstacle(detour, ends))
