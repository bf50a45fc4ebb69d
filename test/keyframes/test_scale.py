from collections.abc import Callable

import numpy as np
import pytest

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.scale import scene_depth


def test_with_depth_it_is_the_median_depth(make_view: Callable[..., Keyframe]) -> None:
    views = [make_view(depth=depth) for depth in (1.0, 3.0, 40.0)]
    assert scene_depth([*views, make_view(depth=None)]) == 3


def test_without_depth_it_is_the_distance_to_what_the_cameras_look_at(
    make_view: Callable[..., Keyframe],
) -> None:
    views = []
    for degrees in (-30, 0, 25):
        angle = np.radians(degrees)
        centre = (-7 * np.sin(angle), 0.0, -7 * np.cos(angle))  # on a circle about the origin
        views.append(make_view(centre=centre, yaw=degrees, depth=None))
    assert scene_depth(views) == pytest.approx(7, rel=1e-6)


def test_on_a_straight_way_it_is_ten_steps(make_view: Callable[..., Keyframe]) -> None:
    views = [make_view(centre=(0, 0, z), depth=None) for z in (0, 0.3, 0.6, 0.9, 5)]
    assert scene_depth(views) == pytest.approx(3)


def test_where_nothing_is_known_it_is_one(make_view: Callable[..., Keyframe]) -> None:
    assert scene_depth([]) == scene_depth([make_view(depth=None)]) == 1
    assert scene_depth([make_view(depth=None), make_view(depth=None)]) == 1
    assert scene_depth([make_view(posed=False), make_view(posed=False)]) == 1
