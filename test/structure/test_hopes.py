import numpy as np
import pytest

from reconx_ros.structure.hopes import LEAST_CONFIDENCE, Hopes, cells, hopes, looked_up
from reconx_ros.structure.survey import Sketch, Survey, survey

from .planning import Panel, camera, cloud_of, shot, wall


def look(planes: list[Panel], inputs: list[object], view: object, reach: float = 0.125) -> Hopes:
    found = survey(cloud_of(planes, inputs), inputs)  # type: ignore[arg-type]
    assert isinstance(found, Survey)
    return hopes(found.draw(view), [found.draw(each) for each in inputs], reach)  # type: ignore[arg-type]


def test_beyond_the_border_hope_falls_off_with_distance() -> None:
    hoped = look([wall(2)], [camera()], camera(yaw=25))
    row = hoped.weight[24]
    first = int(np.flatnonzero(row)[0])
    # The inputs' view ends at 33.6 degrees, 8.7 beyond the new axis: at column 31.5 + 48 tan 8.7.
    assert first == pytest.approx(31.5 + 48 * np.tan(np.radians(8.7)), abs=1.5)
    ramp = 0.75 * (1 - np.arange(1, 8) / 8)  # C = 4 is a confidence of 0.75; eight pixels reach
    assert np.allclose(row[first : first + 7], ramp, atol=0.065)  # the border is a little slanted
    assert not row[first + 8 :].any()
    assert hoped.unseen == pytest.approx(1 - first / 64, abs=0.06)


def test_behind_an_edge_the_background_is_hoped_for_where_the_input_could_not_see() -> None:
    planes = [wall(1.2, (0.3, 0.3)), wall(2.4)]
    view = camera(0.3)
    hoped = look(planes, [camera(), camera(yaw=25)], view)
    points = hoped.points
    # The wall in the shadow of the panel: twice its size, as seen from the origin.
    shadow = (np.abs(points[:, 0]) < 0.66) & (np.abs(points[:, 1]) < 0.66) & (points[:, 2] > 2)
    beyond = hoped.points[~shadow]
    assert np.count_nonzero(shadow) > 50
    # All other hope lies outside both views: below, above, or left of them.
    assert (np.abs(beyond[:, 1]) > 0.9).any() or len(beyond) == 0
    _, which = shot(planes, view.resized(64, 48))
    inside = np.count_nonzero((hoped.weight > 0) & (which == 0))
    assert inside <= 0.05 * np.count_nonzero(hoped.weight)


def test_where_an_input_looked_and_nothing_is_known_there_is_no_hope() -> None:
    # A window in the wall through which nothing is measured.
    frame = [
        Panel(2, 2, (-9, -9, 0), (-0.3, 9, 0)),
        Panel(2, 2, (0.3, -9, 0), (9, 9, 0)),
        Panel(2, 2, (-0.3, 0.3, 0), (0.3, 9, 0)),
        Panel(2, 2, (-0.3, -9, 0), (0.3, -0.3, 0)),
    ]
    eyes = [camera(), camera(0.4), camera(-0.4)]
    hoped = look(frame, list(eyes), camera(0.1))
    middle = hoped.weight[18:30, 22:40]
    assert hoped.unseen > 0.05
    assert not middle.any()


def test_views_with_no_hole_or_nothing_else_have_no_hopes() -> None:
    assert not look([wall(2)], [camera()], camera()).weight.any()
    away = look([wall(2)], [camera()], camera(yaw=180))
    assert (away.unseen, len(away.points)) == (1, 0)
    assert not away.weight.any()


def test_confidence_counts_but_never_for_nothing() -> None:
    found = survey(cloud_of([wall(2)], [camera()]), [camera()])
    assert found is not None
    found.confidence[:] = 0
    hoped = hopes(found.draw(camera(yaw=25)), [found.draw(camera())], 0.125)
    assert hoped.weight.max() == pytest.approx(LEAST_CONFIDENCE * 7 / 8, abs=0.02)


def test_cells_sum_their_pixels() -> None:
    weight = np.zeros((4, 4), np.float32)
    weight[1, :3] = (0.25, 0.5, 1)
    points = np.array([[0.1, 0.1, 0.1], [-0.1, 0, 0], [0.9, 0.2, 0.3]], np.float32)
    keys, sums = cells(Hopes(weight, points, 0.5, 0), 1.0)
    assert len(keys) == 2
    assert sorted(sums) == pytest.approx([0.5, 1.25])
    keys, sums = cells(Hopes(0 * weight, points[:0], 0.5, 0), 1.0)
    assert len(keys) == len(sums) == 0


def test_look_up_takes_the_nearest_pixel() -> None:
    view = camera(width=64, focal=48)
    sketch = Sketch(view, view.camera_from_world, *[np.zeros((48, 64), np.float32)] * 2, np.zeros(1, bool))
    image = np.arange(48 * 64, dtype=np.float32).reshape(48, 64)
    rays = view.rays().reshape(-1, 3)
    rng = np.random.default_rng(0)
    points = (rays * rng.uniform(1, 5, (len(rays), 1))).astype(np.float32)
    points += (points[:, 2:] / 48 * rng.uniform(-0.4, 0.4, points.shape)).astype(np.float32) * (1, 1, 0)
    depth, shown = looked_up(points.astype(np.float32), sketch, image)
    assert np.array_equal(shown, image.ravel())
    assert np.allclose(depth, points[:, 2])
    outside = np.array([[9, 0, 1], [0, 0, -1]], np.float32)
    assert not looked_up(outside, sketch, image + 1)[1].any()
