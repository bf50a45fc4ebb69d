"""A wrong focal length: said, or not confident, never a confident wrong cloud."""

import re
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.protocol import PointMap
from reconx_ros.geometry.stereo.bundle import Bundle, FocalFit, PosePrior
from reconx_ros.geometry.stereo.derivatives import zoomed
from reconx_ros.geometry.stereo.focal import combine
from reconx_ros.geometry.stereo.room import PlaneSweepGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent
from test.geometry.stereo.conftest import Room, look_from
from test.geometry.stereo.test_bundle import stars_of

PLACES = ((0, 0, 0), (0.4, 0, 0), (0.1, 0.35, 0), (-0.3, 0.1, 0))
CONFIG = PlaneSweepConfig(max_width=160)


@pytest.fixture(scope="module")
def views() -> list[Keyframe]:
    """Views of a slanted wall that turn by 3 degrees from one to the next."""
    room = Room(0.5)
    return [room.view(look_from(place, turn=0.05 * i), str(i)) for i, place in enumerate(PLACES)]


def with_focal(views: Sequence[Keyframe], factor: float) -> list[Keyframe]:
    """The same views, said to have focal lengths ``factor`` times as long."""
    return [replace(view, camera=zoomed(view.camera, factor)) for view in views]


def confidently_wrong(view: Keyframe, pointmap: PointMap, camera: Camera) -> float:
    """Share of the points of c >= 0.8 that are wrong by more than a tenth."""
    sure = pointmap.confidence >= 5
    pose = camera.camera_from_world
    depth = pointmap.points @ pose[2, :3] + pose[2, 3]
    return float((np.abs(depth / view.depth - 1)[sure] > 0.1).mean()) if sure.any() else 0.0


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.2, 1.3, 1.5, 2.0])
def test_a_wrong_focal_length_is_named_with_the_one_that_fits(views: list[Keyframe], factor: float) -> None:
    geometry = PlaneSweepGeometry(CONFIG)
    with pytest.raises(GeometryError, match="focal length") as error:
        geometry.estimate(with_focal(views, factor), Silent())
    found = re.search(r"is ([\d.]+) pixels.*one of ([\d.]+) \+- ([\d.]+);", str(error.value))
    assert found is not None
    given, fitting, deviation = map(float, found.groups())
    assert given == pytest.approx(216 * factor, rel=1e-3)
    assert fitting == pytest.approx(216, rel=0.02)
    assert abs(fitting - 216) < 3 * deviation
    assert "camera_info" in str(error.value)


@pytest.mark.parametrize("factor", [0.95, 1.0, 1.03])
def test_a_focal_length_that_is_nearly_right_is_borne_with(views: list[Keyframe], factor: float) -> None:
    estimate = PlaneSweepGeometry(CONFIG).estimate(with_focal(views, factor), Silent())
    for view, keyframe, pointmap in zip(views, estimate.keyframes, estimate.pointmaps, strict=True):
        assert confidently_wrong(view, pointmap, keyframe.camera) < 0.02
        if abs(factor - 1) < 0.04:
            assert (pointmap.confidence >= 5).mean() > 0.5
    if factor != 1.03:  # there it may be said
        assert bool(estimate.notes) == (factor != 1)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_live_map_takes_nothing_more_once_the_focal_length_is_known_to_be_wrong(
    views: list[Keyframe], factor: float
) -> None:
    geometry = PlaneSweepGeometry(CONFIG)
    have: list[Keyframe] = []
    for view in with_focal(views, factor):
        have.append(view)
        estimate = geometry.estimate(have, Silent(), only=[len(have) - 1])
        have[-1] = estimate.keyframes[0]  # a live map goes on with the refined pose
    assert not estimate.pointmaps[0].known.any()
    assert "focal length" in estimate.notes[0]


@pytest.mark.parametrize("factor", [0.8, 1.1, 1.25])
def test_two_views_that_a_live_map_took_in_before_are_not_sure(
    views: list[Keyframe], factor: float
) -> None:
    geometry, have = PlaneSweepGeometry(CONFIG), with_focal(views[:2], factor)
    estimate = geometry.estimate(have, Silent(), only=[1, 0])
    for pointmap in estimate.pointmaps:
        assert pointmap.known.mean() > 0.3
        assert pointmap.confidence.max() < 3


@pytest.mark.parametrize("wrong", [1, 3])
def test_one_bad_pose_does_not_condemn_the_focal_length_of_a_live_map(
    views: list[Keyframe], wrong: int
) -> None:
    geometry = PlaneSweepGeometry(CONFIG)
    have: list[Keyframe] = []
    places = [*PLACES, (0.2, -0.2, 0.1)]
    room = Room(0.5)
    for i, place in enumerate(places):
        camera = look_from(place, turn=0.05 * i)
        view = room.view(camera, str(i))
        if i == wrong:
            pose = camera.world_from_camera.copy()
            pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(np.array([0.01, -0.015, 0.01]))[0]
            pose[:3, 3] += [0.06, -0.04, 0.05]
            view = replace(view, camera=camera.moved(pose))
        have.append(view)
        estimate = geometry.estimate(have, Silent(), only=[i])
        have[-1] = estimate.keyframes[0]
        assert not any("focal" in line for line in estimate.notes)
    assert estimate.pointmaps[0].known.mean() > 0.3


def test_exact_matches_give_the_focal_length_back_and_what_they_cannot_tell() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform([-1, -1, 2], [1, 1, 4], (150, 3))
    prior = PosePrior(np.deg2rad(0.2), 0.02)
    for turn, deviation in ((0.05, 0.02), (0.0, 0.3)):
        truth = [look_from((0.3 * np.cos(i), 0.3 * np.sin(i), 0), turn=turn * i) for i in range(5)]
        stars = stars_of(truth, points, wrong=0.1)
        cameras = [zoomed(camera, 1.2) for camera in truth]
        fit = Bundle(cameras, stars, range(5), prior).fit_focal(dict.fromkeys(range(5), 0))[0]
        if turn:
            assert fit.ratio == pytest.approx(1 / 1.2, rel=0.01)
            assert fit.deviation < deviation
        else:
            assert fit.deviation > deviation


def test_each_camera_has_its_own_focal_length() -> None:
    points = np.random.default_rng(4).uniform([-1, -1, 2], [1, 1, 4], (150, 3))
    truth = [look_from((0.3 * np.cos(i), 0.3 * np.sin(i), 0.1 * i), turn=0.06 * i) for i in range(6)]
    factors = (1.0, 1.0, 1.0, 1.3, 1.3, 1.3)
    cameras = [zoomed(camera, factor) for camera, factor in zip(truth, factors, strict=True)]
    stars = stars_of(truth, points, wrong=0.05)
    fits = Bundle(cameras, stars, range(6), PosePrior(np.deg2rad(0.2), 0.02)).fit_focal(
        {i: i // 3 for i in range(6)}
    )
    assert fits[0].ratio == pytest.approx(1, rel=0.01)
    assert fits[1].ratio == pytest.approx(1 / 1.3, rel=0.01)


def test_views_that_disagree_and_strained_poses_make_less_sure() -> None:
    agreeing = combine([FocalFit(0.9, 0.02, 0.5)] * 4)
    assert agreeing.deviation == pytest.approx(0.01)
    assert agreeing.wrong
    assert agreeing.bias == pytest.approx(-np.log(0.9) - 0.03)
    assert combine([FocalFit(0.9, 0.02, 3.0)] * 4).deviation == pytest.approx(0.03)
    spread = combine([FocalFit(ratio, 0.02, 0.5) for ratio in (0.7, 1.05, 0.85, 1.1)])
    assert spread.deviation > 0.05
    assert not spread.wrong
