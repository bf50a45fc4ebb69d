import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.choose import ROOMS, choose_geometry, choose_method, without_unused_depth
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.keyframes.keyframe import Keyframe


def test_auto_takes_rgbd_where_there_is_depth_and_says_why(
    plane_keyframe: Callable[..., Keyframe], caplog: pytest.LogCaptureFixture
) -> None:
    views = [plane_keyframe(), replace(plane_keyframe(), depth=None)]
    method, why = choose_method(GeometryConfig(), views)
    assert (method, why) == ("rgbd", "1 of 2 keyframes have depth and a pose")
    with caplog.at_level(logging.INFO, "reconx_ros"):
        assert choose_geometry(GeometryConfig(), views).name == "rgbd"
    assert caplog.messages == [f"geometry is rgbd: {why}"]


def test_every_configurable_method_has_a_room_of_that_name(plane_keyframe: Callable[..., Keyframe]) -> None:
    for method, make in ROOMS.items():
        config = GeometryConfig(method=method)
        assert make(config, True).name == method
        assert choose_method(config, [])[0] == method


def test_auto_takes_plane_sweep_for_poses_without_depth(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [replace(plane_keyframe(), depth=None), replace(plane_keyframe(), posed=False)]
    method, why = choose_method(GeometryConfig(), views)
    assert (method, why) == ("plane-sweep", "1 of 2 keyframes have a pose, none has depth too")


def test_depth_is_hidden_from_rooms_that_work_from_colour(plane_keyframe: Callable[..., Keyframe]) -> None:
    for method, hidden in (("auto", False), ("rgbd", False), ("plane-sweep", True)):
        config = GeometryConfig(method=method)
        (view,) = without_unused_depth(config, [plane_keyframe()])
        assert (view.depth is None) == hidden


def test_without_poses_the_error_says_what_is_needed(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [replace(plane_keyframe(), posed=False)] * 2
    with pytest.raises(GeometryError, match=r"none of 2 keyframes has a pose \(2 have depth\).*needed"):
        choose_geometry(GeometryConfig(), views)
