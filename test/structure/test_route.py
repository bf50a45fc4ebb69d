import numpy as np

from reconx_ros.structure.free_space import FreeSpace
from reconx_ros.structure.path import Knot, through
from reconx_ros.structure.route import chained, route
from reconx_ros.structure.survey import survey

from .planning import Panel, camera, cloud_of, wall


def space(half: float) -> FreeSpace:
    """A panel of ``half`` width 2 m ahead of the first of three cameras that look past it to a wall."""
    planes: list[Panel] = [wall(2, (half, 0.3)), wall(6)]
    views = [camera(), camera(-1.5), camera(1.5), camera(z=2.5)]
    found = survey(cloud_of(planes, views), views)
    assert found is not None
    return FreeSpace(found, [found.draw(each) for each in views], 0.05, 0.05)


def test_a_free_path_is_straight() -> None:
    knots, note = route((camera(), camera(z=1)), 5, space(0.3), [camera()])
    assert note is None
    assert [knot.frame for knot in knots] == [0, 4]


def test_a_path_is_bent_around_what_is_in_the_way() -> None:
    free, ends = space(0.3), (camera(), camera(z=3.5))
    knots, note = route(ends, 9, free, ends)
    assert "bent aside" in str(note)
    path = through(knots)
    assert (path[0], path[-1], len(path)) == (ends[0], ends[1], 9)
    centres = np.stack([each.centre for each in path])
    at = np.interp(2, centres[:, 2], np.hypot(centres[:, 0], centres[:, 1]))
    assert at > 0.3 + 0.9 * free.clearance  # past the panel, which is 0.3 wide either way
    assert free.obstacle(path, ends) is None
    assert route(ends, 9, free, ends[:1])[0] == []  # views beyond are not bent to


def test_a_path_through_a_wall_is_left_out_with_the_reason() -> None:
    knots, note = route((camera(), camera(z=3.5)), 9, space(3), [camera()])
    assert knots == []
    assert "left out: passes within" in str(note)


def test_clips_chain_at_the_frame_they_share() -> None:
    a, b, c = camera(), camera(0.5), camera(1)
    knots = chained([[Knot(0, a), Knot(4, b)], [Knot(0, b), Knot(2, camera(0.7)), Knot(6, c)]])
    assert [knot.frame for knot in knots] == [0, 4, 6, 10]
    assert (knots[1].camera, knots[3].camera) == (b, c)
