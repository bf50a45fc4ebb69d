from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.geometry.stereo.room import PlaneSweepGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent

Make = Callable[..., Any]
PLACES = ((0, 0, 0), (0.4, 0, 0), (0.1, 0.35, 0), (-0.3, 0.1, 0))


def depth_of(pointmap: PointMap, camera: Camera) -> NDArray[np.float64]:
    pose = camera.camera_from_world
    return pointmap.points @ pose[2, :3] + pose[2, 3]


def errors(view: Keyframe, pointmap: PointMap) -> NDArray[np.float64]:
    """Relative errors of the points with c >= 0.5."""
    sure = pointmap.confidence >= 2
    return np.abs(depth_of(pointmap, view.camera) / view.depth - 1)[sure]


@pytest.mark.parametrize("slant", [0.0, 0.5])
def test_a_textured_wall_is_found_to_a_fraction_of_a_pixel(
    room: Make, camera_at: Make, slant: float
) -> None:
    views = [room(slant).view(camera_at(place), str(i)) for i, place in enumerate(PLACES)]
    estimate = PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())
    assert all(view.depth is None for view in estimate.keyframes)
    for view, pointmap in zip(views, estimate.pointmaps, strict=True):
        error = errors(view, pointmap)
        assert len(error) > 0.5 * view.depth.size
        assert np.median(error) < 0.007
        assert (error > 0.05).mean() < 0.05


def test_no_confident_point_lies_between_a_box_and_the_wall_behind(room: Make, camera_at: Make) -> None:
    views = [room(box=True).view(camera_at(place), str(i)) for i, place in enumerate(PLACES)]
    estimate = PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())
    for view, pointmap in zip(views, estimate.pointmaps, strict=True):
        error = errors(view, pointmap)
        assert len(error) > 0.4 * view.depth.size
        assert (error > 0.05).mean() < 0.03


def test_the_same_place_twice_is_refused_and_says_why(room: Make, camera_at: Make) -> None:
    view = room().view(camera_at((0, 0, 0)), "a")
    geometry = PlaneSweepGeometry(PlaneSweepConfig())
    with pytest.raises(GeometryError, match="different places"):
        geometry.estimate([view, replace(view, name="b")], Silent())
    alone = geometry.estimate([view], Silent(), only=[0])
    assert not alone.pointmaps[0].known.any()
    assert (alone.pointmaps[0].confidence == 1).all()
