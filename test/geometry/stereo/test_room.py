from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import FusionConfig, PlaneSweepConfig
from reconx_ros.geometry.fusion import CloudFusion, fuse
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.geometry.stereo.room import PlaneSweepGeometry
from reconx_ros.geometry.voxels import voxel_keys
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent

Make = Callable[..., Any]
PLACES = ((0, 0, 0), (0.4, 0, 0), (0.1, 0.35, 0), (-0.3, 0.1, 0))


def depth_of(pointmap: PointMap, camera: Camera) -> NDArray[np.float64]:
    pose = camera.camera_from_world
    return pointmap.points @ pose[2, :3] + pose[2, 3]


def errors(view: Keyframe, pointmap: PointMap) -> NDArray[np.float64]:
    """Relative errors of the points said to be right with a probability of 80 percent."""
    sure = pointmap.confidence >= 5
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
        assert (error > 0.05).mean() < 0.01


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


def test_a_turn_on_the_spot_is_refused_and_says_why(room: Make, camera_at: Make) -> None:
    views = [room().view(camera_at((0, 0, 0), turn=0.1 * i), str(i)) for i in range(3)]
    with pytest.raises(GeometryError, match="different places"):
        PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())


def test_nobody_posed_is_refused(room: Make, camera_at: Make) -> None:
    views = [replace(room().view(camera_at((0.2 * i, 0, 0)), str(i)), posed=False) for i in range(2)]
    with pytest.raises(GeometryError, match="0 of 2 keyframes have a pose"):
        PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())


@pytest.mark.parametrize("noise", [0.0, 0.004])
def test_a_blank_wall_gives_no_confident_point(room: Make, camera_at: Make, noise: float) -> None:
    views = [room(texture=False).view(camera_at(p), str(i), noise) for i, p in enumerate(PLACES)]
    estimate = PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent(), only=range(4))
    for view, pointmap in zip(views, estimate.pointmaps, strict=True):
        wrong = np.abs(depth_of(pointmap, view.camera) / view.depth - 1) > 0.1
        assert (wrong & (pointmap.confidence > 2)).mean() < 0.01


def test_nothing_to_match_is_said(room: Make, camera_at: Make) -> None:
    views = [room(texture=False).view(camera_at(p), str(i), 0.0) for i, p in enumerate(PLACES)]
    with pytest.raises(GeometryError, match="no texture"):
        PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())


def test_a_wrong_focal_length_or_a_flipped_camera_is_named(room: Make, camera_at: Make) -> None:
    views = [room(0.5).view(camera_at(place, turn=0.05 * i), str(i)) for i, place in enumerate(PLACES)]
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    camera = views[1].camera
    views[1] = replace(views[1], camera=camera.moved(camera.world_from_camera @ flip))
    estimate = PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())
    assert not estimate.pointmaps[1].known.any()
    assert set(estimate.excluded) == {"1"}
    assert "which way up" in estimate.warnings(views)[0]
    assert [view.name for view in estimate.usable().keyframes] == ["0", "2", "3"]
    for i in (0, 2, 3):  # the others go on without it
        assert np.median(errors(views[i], estimate.pointmaps[i])) < 0.02
    with pytest.raises(GeometryError, match="keyframes 0 and 1: matches do not fit"):
        PlaneSweepGeometry(PlaneSweepConfig()).estimate(views[:2], Silent())
    wide = camera.intrinsics * np.array([[2.0], [2.0], [1.0]]) * np.array([[1.0, 1, 0.5]])
    twice = [replace(v, camera=replace(v.camera, intrinsics=wide)) for v in (views[0], views[2], views[3])]
    with pytest.raises(GeometryError, match="focal length"):
        PlaneSweepGeometry(PlaneSweepConfig()).estimate(twice, Silent())


def walked_by(room: Make, camera_at: Make) -> list[Keyframe]:
    """Views of a wall 2 m away; somebody is elsewhere before it in each."""
    views = [room().view(camera_at(place), str(i)) for i, place in enumerate(PLACES)]
    rng = np.random.default_rng(0)
    person = np.kron(rng.integers(0, 255, (20, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    walked = []
    for i, view in enumerate(views):
        image = view.image.copy()
        image[60:140, 40 * i + 20 : 40 * i + 60] = person
        walked.append(replace(view, image=image))
    return walked


def test_what_moved_between_the_views_is_not_confidently_wrong(room: Make, camera_at: Make) -> None:
    views = walked_by(room, camera_at)
    estimate = PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())
    for view, pointmap in zip(views, estimate.pointmaps, strict=True):
        error = errors(view, pointmap)
        assert len(error) > 0.4 * view.depth.size
        assert (error > 0.1).mean() < 0.03


def test_a_planted_floater_is_seen_through_and_removed(room: Make, camera_at: Make) -> None:
    views = [room(0.3).view(camera_at(place), str(i)) for i, place in enumerate(PLACES)]
    estimate = PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent())
    for far, gone in ((0.5, 1.0), (0.9, 1.0), (0.97, 0.1)):  # the last is within what stereo may err
        keyframe, pointmap = estimate.keyframes[1], estimate.pointmaps[1]
        points, confidence = pointmap.points.copy(), pointmap.confidence.copy()
        patch = (slice(60, 100), slice(90, 140))
        points[patch] = keyframe.camera.centre + far * (points[patch] - keyframe.camera.centre)
        confidence[patch] = 20
        planted = replace(pointmap, points=points, confidence=confidence)
        maps = (estimate.pointmaps[0], planted, *estimate.pointmaps[2:])
        both = [CloudFusion(FusionConfig()), CloudFusion(FusionConfig())]
        for fusion, those in zip(both, (estimate.pointmaps, maps), strict=True):
            for view, one in zip(estimate.keyframes, those, strict=True):
                fusion.merge(view, one)
        fusion, right = both[1], set(voxel_keys(both[0].cloud().points, 0.02).tolist())
        floats = set(voxel_keys(fusion.cloud().points, 0.02).tolist()) - right
        assert len(floats) > 100
        for view, one in zip(estimate.keyframes, maps, strict=True):
            fusion.carve(view, one)
        left = floats & set(voxel_keys(fusion.cloud().points, 0.02).tolist())
        removed = 1 - len(left) / len(floats)
        assert removed == 1 if gone == 1 else removed < gone


def test_somebody_who_walks_by_is_not_in_the_fused_cloud(room: Make, camera_at: Make) -> None:
    views = walked_by(room, camera_at)
    cloud = fuse(PlaneSweepGeometry(PlaneSweepConfig()).estimate(views, Silent()), FusionConfig())
    off = np.abs(cloud.points[:, 2] / 2 - 1)
    assert len(cloud) > 5000
    assert (off > 0.1).mean() < 0.03
    assert (off[cloud.confidence >= 5] > 0.1).mean() < 0.01


def test_views_of_several_sizes_serve_each_other(room: Make, camera_at: Make) -> None:
    sizes = ((240, 180), (480, 360), (200, 150), (240, 180))
    views = [
        room(0.5).view(camera_at(place, *size), str(i))
        for i, (place, size) in enumerate(zip(PLACES, sizes, strict=True))
    ]
    estimate = PlaneSweepGeometry(PlaneSweepConfig(max_width=320)).estimate(views, Silent())
    for view, pointmap in zip(views, estimate.pointmaps, strict=True):
        assert pointmap.confidence.shape == view.image.shape[:2]
        error = errors(view, pointmap)
        assert len(error) > 0.4 * view.depth.size
        assert np.median(error) < 0.01


def test_poses_that_are_a_little_off_are_put_right(room: Make, camera_at: Make) -> None:
    views = [room(0.5).view(camera_at(place), str(i)) for i, place in enumerate(PLACES)]
    rng = np.random.default_rng(1)
    rough = []
    for view in views:
        pose = view.camera.world_from_camera.copy()
        pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(rng.normal(0, np.deg2rad(0.2), 3))[0]
        pose[:3, 3] += rng.normal(0, 0.01, 3)
        rough.append(replace(view, camera=view.camera.moved(pose)))
    medians = []
    for metric in (True, False):  # poses that are not metric are taken as they are
        estimate = PlaneSweepGeometry(PlaneSweepConfig(), metric).estimate(rough, Silent())
        pairs = zip(estimate.keyframes, views, estimate.pointmaps, strict=True)
        error = [np.abs(depth_of(p, k.camera) / v.depth - 1)[p.known] for k, v, p in pairs]
        medians.append(np.median(np.concatenate(error)))
    assert medians[0] < 0.6 * medians[1]
    assert medians[0] < 0.015


def test_a_live_map_asks_for_the_new_view_only(room: Make, camera_at: Make) -> None:
    views = [room(0.5).view(camera_at(place), str(i)) for i, place in enumerate(PLACES)]
    geometry = PlaneSweepGeometry(PlaneSweepConfig())
    geometry.estimate(views[:3], Silent())
    estimate = geometry.estimate(views, Silent(), only=[3])
    assert [view.name for view in estimate.keyframes] == ["3"]
    assert np.median(errors(views[3], estimate.pointmaps[0])) < 0.01


def test_an_even_window_is_refused() -> None:
    with pytest.raises(ValueError, match="7 or 9"):
        PlaneSweepConfig(window=8)
