from collections.abc import Callable

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.geometry.agreement import AGREES, CONTRADICTS, HIDDEN, UNSEEN, MeasuredView, judge


@pytest.fixture
def wall(make_camera: Callable[..., Camera]) -> MeasuredView:
    """A view of a wall 2 m ahead with an unknown left quarter."""
    depth = np.full((120, 160), 2, np.float32)
    depth[:, :40] = np.nan
    return MeasuredView.of(make_camera(), depth, np.full((120, 160), 0.005, np.float32))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.2, 0, 2.0), AGREES),
        ((0.2, 0, 2.03), AGREES),
        ((0.2, 0, 1.5), CONTRADICTS),
        ((0.2, 0, 2.5), HIDDEN),
        ((-1.0, 0, 2.0), UNSEEN),  # nothing measured there
        ((9.0, 0, 2.0), UNSEEN),  # outside the image
        ((0.2, 0, -2.0), UNSEEN),  # behind
        ((np.nan, 0, 2.0), UNSEEN),
        ((0.2, 0, np.nan), UNSEEN),
    ],
)
def test_verdicts(wall: MeasuredView, point: tuple[float, float, float], expected: int) -> None:
    points = np.array([point], np.float32)
    verdict = judge(points, np.array([0.005], np.float32), wall, least_tolerance=0.02)
    assert verdict.tolist() == [expected]


def test_tolerance_grows_with_the_noise_of_both(wall: MeasuredView) -> None:
    points = np.array([[0.2, 0, 1.9]], np.float32)
    assert judge(points, np.array([0.001], np.float32), wall, 0.02)[0] == CONTRADICTS
    assert judge(points, np.array([0.03], np.float32), wall, 0.02)[0] == AGREES


def test_the_rim_of_a_nearer_object_is_not_contradicted(make_camera: Callable[..., Camera]) -> None:
    depth = np.full((120, 160), 3, np.float32)
    depth[:, :80] = 1
    camera = make_camera()
    view = MeasuredView.of(camera, depth, np.full((120, 160), 0.005, np.float32))
    rim = camera.rays()[60, 80].astype(np.float32)[None]  # 1 m away, one pixel beyond the rim
    beyond = camera.rays()[60, 82].astype(np.float32)[None]
    assert judge(rim, np.array([0.005], np.float32), view, 0.02)[0] == UNSEEN
    assert judge(beyond, np.array([0.005], np.float32), view, 0.02)[0] == CONTRADICTS
