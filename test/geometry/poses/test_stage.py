"""When poses are recovered, and that the pipeline goes on from them."""

from dataclasses import replace

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.geometry.choose import choose_method
from reconx_ros.geometry.poses.stage import with_poses
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.progress import Silent
from reconx_ros.stopwatch import Stopwatch

CONFIG = load_config(
    "fast",
    None,
    {
        "splatting": {"steps": 20},
        "keyframes": {"image_width": 200},
        "geometry": {"method": "sparse", "poses": {"max_features": 1500}},
    },
)


def without_poses(views: list[Keyframe]) -> list[Keyframe]:
    return [
        replace(v, posed=False, depth=None, camera=Camera(v.camera.intrinsics, np.eye(4), 400, 300))
        for v in views
    ]


def test_posed_keyframes_are_left_alone(room_views: list[Keyframe]) -> None:
    views = [room_views[0], *without_poses(room_views[1:])]
    watch = Stopwatch()
    posed = with_poses(views, load_config(), True, Silent(), watch)
    assert list(posed.keyframes) == views and posed.metric and posed.report == {}
    assert "poses" not in watch.seconds


@pytest.mark.parametrize(
    "geometry", [{"method": "dust3r"}, {"method": "auto", "dust3r": {"weights": "/w.safetensors"}}]
)
def test_rooms_that_find_cameras_themselves_get_the_photos(
    room_views: list[Keyframe], geometry: dict[str, object]
) -> None:
    config = load_config("fast", None, {"geometry": geometry})
    posed = with_poses(without_poses(room_views), config, False, Silent(), Stopwatch())
    assert [k.camera.width for k in posed.keyframes] == [320] * 4
    assert not any(k.posed for k in posed.keyframes)
    assert choose_method(config.geometry, posed.keyframes)[0] == "dust3r"
    assert posed.report == {}
    recorded = with_poses(without_poses(room_views), config, True, Silent(), Stopwatch())
    assert not recorded.metric
    (warning,) = recorded.report["warnings"]
    assert "none of 4 keyframes has a pose" in warning
    assert "cameras will be found with the geometry" in warning


def test_depth_without_poses_gets_cameras_and_metres_before_auto_chooses(
    room_views: list[Keyframe],
) -> None:
    geometry = {"dust3r": {"weights": "/w.safetensors"}, "poses": {"max_features": 1500}}
    config = load_config("fast", None, {"geometry": geometry})
    views = [replace(v, depth=k.depth) for v, k in zip(without_poses(room_views), room_views, strict=True)]
    posed = with_poses(views, config, True, Silent(), Stopwatch())
    assert posed.metric
    assert choose_method(config.geometry, posed.keyframes)[0] == "rgbd"


def test_photos_become_a_map_of_unknown_scale(room_views: list[Keyframe]) -> None:
    result = reconstruct_keyframes(without_poses(room_views), CONFIG, metric=False)
    assert not result.metric
    assert result.report["poses"]["registered"] == 4
    assert result.report["seconds"]["poses"] > 0
    assert [k.camera.width for k in result.keyframes] == [200] * 4
    assert all(k.posed for k in result.keyframes)
    assert len(result.gaussians) > 200
