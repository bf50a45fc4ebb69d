from collections.abc import Callable
from dataclasses import replace

import pytest

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.choose import ROOMS, choose_geometry, choose_method
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.keyframes.keyframe import Keyframe


def test_auto_takes_rgbd_where_there_is_depth_and_says_why(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [plane_keyframe(), replace(plane_keyframe(), depth=None)]
    method, why = choose_method(GeometryConfig(), views)
    assert (method, why) == ("rgbd", "1 of 2 keyframes have depth and a pose")
    assert choose_geometry(GeometryConfig(), views).name == "rgbd"


def test_every_configurable_method_has_a_room_of_that_name(plane_keyframe: Callable[..., Keyframe]) -> None:
    for method, make in ROOMS.items():
        config = GeometryConfig(method=method)
        assert make(config, True).name == method
        assert choose_method(config, [])[0] == method


def test_without_depth_the_error_says_what_is_needed(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [replace(plane_keyframe(), depth=None), replace(plane_keyframe(), posed=False)]
    with pytest.raises(GeometryError, match=r"of 2 keyframes 1 have a pose and 1 have depth.*needs"):
        choose_geometry(GeometryConfig(), views)
