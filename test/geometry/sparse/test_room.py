"""The sparse room on a simulated recording whose depth is known, and on real photos."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import FusionConfig
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.protocol import GeometryEstimate
from reconx_ros.geometry.sparse.config import SparseConfig
from reconx_ros.geometry.sparse.room import SparseGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

ROOM = SparseGeometry(SparseConfig(), metric=True)


def without_depth(views: list[Keyframe]) -> list[Keyframe]:
    return [replace(view, depth=None) for view in views]


def relative_errors(estimate: GeometryEstimate, views: list[Keyframe]) -> tuple[np.ndarray, np.ndarray]:
    """C and relative depth error of every point against the measured depth."""
    confidence, errors = [], []
    for view, pointmap in zip(views, estimate.pointmaps, strict=True):
        assert view.depth is not None
        known = pointmap.known & np.isfinite(view.depth)
        depth = view.camera.project(pointmap.points[known].astype(np.float64))[1]
        errors.append(np.abs(depth - view.depth[known]) / view.depth[known])
        confidence.append(pointmap.confidence[known])
    return np.concatenate(confidence), np.concatenate(errors)


def test_points_lie_on_the_true_surfaces_and_confidence_says_how_well(room_views: list[Keyframe]) -> None:
    estimate = ROOM.estimate(without_depth(room_views), Silent())
    assert estimate.metric
    confidence, errors = relative_errors(estimate, room_views)
    assert len(errors) > 400
    assert np.median(errors) < 0.004
    assert np.mean(errors < 0.05) > 0.93
    order = np.argsort(confidence)
    worst, best = order[: len(order) // 3], order[-len(order) // 3 :]
    assert np.mean(errors[best] > 0.05) < 0.5 * np.mean(errors[worst] > 0.05)
    for pointmap in estimate.pointmaps:
        assert (pointmap.confidence[~pointmap.known] == 1).all()
        assert (pointmap.confidence >= 1).all()
        assert 30 < pointmap.known.sum() < 5000


def test_only_gives_the_wanted_views_and_the_same_answer_twice(room_views: list[Keyframe]) -> None:
    views = without_depth(room_views)
    one = ROOM.estimate(views, Silent(), only=[2])
    assert [keyframe.name for keyframe in one.keyframes] == [views[2].name]
    again = ROOM.estimate(views, Silent(), only=[2])
    np.testing.assert_array_equal(one.pointmaps[0].points, again.pointmaps[0].points)
    np.testing.assert_array_equal(one.pointmaps[0].confidence, again.pointmaps[0].confidence)


def test_a_view_without_pose_or_with_a_wrong_one_gets_no_points(
    room_views: list[Keyframe], caplog: pytest.LogCaptureFixture
) -> None:
    views = without_depth(room_views)
    lost = replace(views[1], posed=False)
    flipped = np.diag([-1.0, 1, -1, 1])
    wrong = replace(views[3], camera=views[3].camera.moved(views[3].camera.world_from_camera @ flipped))
    with caplog.at_level("WARNING"):
        estimate = ROOM.estimate([views[0], lost, views[2], wrong], Silent())
    known = [int(pointmap.known.sum()) for pointmap in estimate.pointmaps]
    assert known[1] == 0
    assert known[3] <= 0.02 * known[0]
    assert known[0] > 100


def test_what_moves_between_the_views_gets_no_points_and_the_rest_keeps_its_own(
    room_views: list[Keyframe],
) -> None:
    """A patterned shirt is elsewhere in each picture, off the epipolar lines of where it was."""
    noise = np.random.default_rng(0).integers(0, 255, (20, 16, 3), dtype=np.uint8)
    shirt = cv2.resize(noise, (96, 120), interpolation=cv2.INTER_CUBIC)
    views, places = [], []
    for view, (x, y) in zip(room_views, [(150, 60), (175, 130), (130, 90), (165, 40)], strict=True):
        image, place = view.image.copy(), np.s_[y : y + 120, x : x + 96]
        image[place] = shirt
        views.append(replace(view, image=image, depth=None))
        places.append(place)
    still = ROOM.estimate(without_depth(room_views), Silent())
    for pointmap, alone, place in zip(
        ROOM.estimate(views, Silent()).pointmaps, still.pointmaps, places, strict=True
    ):
        inside = np.zeros(pointmap.known.shape, bool)
        inside[place] = True
        assert alone.known[inside].sum() > 50
        assert pointmap.known[inside].sum() <= 3
        assert pointmap.known[~inside].sum() > 0.85 * alone.known[~inside].sum()


@pytest.mark.parametrize("factor", [1.3, 1.1, 0.75])
def test_a_wrong_calibration_gives_no_confident_point(room_views: list[Keyframe], factor: float) -> None:
    def zoomed(view: Keyframe) -> Keyframe:
        intrinsics = view.camera.intrinsics.copy()
        intrinsics[[0, 1], [0, 1]] *= factor
        return replace(view, camera=replace(view.camera, intrinsics=intrinsics))

    right, _ = relative_errors(ROOM.estimate(without_depth(room_views), Silent()), room_views)
    views = [zoomed(view) for view in room_views]
    wrong, _ = relative_errors(ROOM.estimate(without_depth(views), Silent()), views)
    assert np.median(right) > 1.6
    assert np.median(wrong) < 1.3
    assert (right > 2).sum() > 50
    assert (wrong > 2).sum() <= 2


def test_views_of_several_sizes_go_together(room_views: list[Keyframe]) -> None:
    views = [room_views[0], reduce(room_views[1], 320), *room_views[2:]]
    estimate = ROOM.estimate(without_depth(views), Silent())
    assert estimate.pointmaps[1].known.shape == (240, 320)
    _, errors = relative_errors(estimate, views)
    assert estimate.pointmaps[1].known.sum() > 500
    assert np.median(errors) < 0.004
    assert np.mean(errors < 0.05) > 0.93


@pytest.mark.parametrize("case", ["identical", "blank", "turned", "single"])
def test_views_that_cannot_be_triangulated_are_one_clear_error(
    room_views: list[Keyframe], case: str
) -> None:
    view = without_depth(room_views)[0]
    turn = np.eye(4)
    turn[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    blank = replace(view, image=np.full_like(view.image, 90))
    second = {
        "identical": replace(view, name="b"),
        "blank": replace(blank, camera=room_views[2].camera),
        "turned": replace(room_views[2], camera=view.camera.moved(view.camera.world_from_camera @ turn)),
        "single": replace(view, posed=False),
    }[case]
    needs = "two at least" if case == "single" else "no point could be triangulated in 2 keyframes"
    with pytest.raises(GeometryError, match=needs):
        ROOM.estimate([view, second], Silent())


def test_photos_of_unknown_scale_give_a_cloud_within_the_published_depth_range(
    real_data: Callable[[str], Path],
) -> None:
    with open_source(real_data("fern"), SourceConfig()) as source:
        views = [reduce(frame, 504) for frame in source.frames()][1:20:9]
        assert not source.metric
    estimate = SparseGeometry(SparseConfig(), metric=False).estimate(views, Silent())
    cloud = fuse(estimate, FusionConfig())
    assert len(cloud) > 400
    _, depth = views[1].camera.project(cloud.points.astype(np.float64))
    sure = cloud.confidence > np.median(cloud.confidence)
    inside = (depth > 0.8 * 17.7) & (depth < 1.2 * 78.3)  # near and far of transforms.json
    assert np.mean(inside) > 0.85
    assert np.mean(inside[sure]) > 0.95


def test_the_views_of_a_track_do_not_add_up_their_common_confidence(room_views: list[Keyframe]) -> None:
    estimate = ROOM.estimate(without_depth(room_views), Silent())
    cloud = fuse(estimate, FusionConfig(voxel_size=0.001))  # hardly ever two tracks in a voxel
    seen = {
        tuple(point): confidence
        for pointmap in estimate.pointmaps
        for point, confidence in zip(
            pointmap.points[pointmap.known], pointmap.confidence[pointmap.known], strict=True
        )
    }
    tracks = [(row, seen[tuple(point)]) for row, point in enumerate(cloud.points) if tuple(point) in seen]
    rows = np.array([row for row, _ in tracks])
    own = np.array([confidence for _, confidence in tracks])
    several = cloud.views[rows] > 1
    assert several.sum() > 50
    # C differs a little from view to view of a track; summed up, C - 1 would be twice as much and more
    np.testing.assert_allclose(cloud.confidence[rows][several], own[several], rtol=0.06)
