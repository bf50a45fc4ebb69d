"""Cameras from images alone: a simulated room whose cameras are known, and real photos."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.recover import PosedViews, recover_poses
from reconx_ros.keyframes.keyframe import Intrinsics, Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.keyframes.selector import rotation_degrees
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source


def unposed(view: Keyframe, worth: Intrinsics = "calibrated", focal: float = 1.0) -> Keyframe:
    matrix = view.camera.intrinsics * [[focal], [focal], [1]]
    matrix[:2, 2] = view.camera.intrinsics[:2, 2]
    camera = Camera(matrix, np.eye(4), view.camera.width, view.camera.height)
    return replace(view, camera=camera, depth=None, posed=False, intrinsics=worth)


def recover(views: list[Keyframe], **config: int | float) -> PosedViews:
    return recover_poses(views, PosesConfig(**{"max_features": 1000, **config}), Silent())


def aligned_error(found: list[Camera], truth: list[Camera]) -> float:
    """RMS distance of the optical centres after the best similarity, per extent of the true ones."""
    one, two = (np.array([camera.centre for camera in cameras]) for cameras in (found, truth))
    one_c, two_c = one - one.mean(0), two - two.mean(0)
    left, sizes, right = np.linalg.svd(two_c.T @ one_c)
    signs = np.diag([1, 1, np.sign(np.linalg.det(left @ right))])
    scale = (sizes * np.diag(signs)).sum() / (one_c**2).sum()
    error = scale * one_c @ (left @ signs @ right).T - two_c
    return float(np.sqrt((error**2).sum(1).mean()) / np.linalg.norm(two[:, None] - two, axis=2).max())


def largest_turn(found: list[Camera], truth: list[Camera]) -> float:
    """Degrees by which the rotation between any two cameras is wrong at most."""
    errors = []
    for i, j in combinations(range(len(found)), 2):
        one, two = (
            cameras[i].world_from_camera[:3, :3].T @ cameras[j].world_from_camera[:3, :3]
            for cameras in (found, truth)
        )
        errors.append(np.degrees(np.linalg.norm(cv2.Rodrigues(one.T @ two)[0])))
    return float(max(errors))


@pytest.mark.parametrize(
    ("worth", "focal", "turn", "place"),
    [("calibrated", 1.0, 0.1, 0.003), ("prior", 1.05, 0.1, 0.003), ("guessed", 1.4, 0.1, 0.003)],
)
def test_cameras_are_found_up_to_a_similarity(
    room_views: list[Keyframe], worth: Intrinsics, focal: float, turn: float, place: float
) -> None:
    found = recover([unposed(view, worth, focal) for view in room_views])
    cameras, truth = [k.camera for k in found.keyframes], [k.camera for k in room_views]
    assert [k.name for k in found.keyframes] == [k.name for k in room_views]
    assert not found.metric
    assert all(k.posed for k in found.keyframes)
    assert largest_turn(cameras, truth) < turn
    assert aligned_error(cameras, truth) < place
    ratio = cameras[0].intrinsics[0, 0] / truth[0].intrinsics[0, 0]
    assert ratio == 1.0 if worth == "calibrated" else abs(ratio - 1) < 0.01
    assert found.report["poses"]["registered"] == 4
    assert found.report["poses"]["reprojection_error_pixels"] < 0.3
    assert found.report["warnings"] == []


def test_measured_depth_gives_metres(room_views: list[Keyframe]) -> None:
    seen = [replace(unposed(view), depth=view.depth) for view in room_views]
    found = recover(seen)
    assert found.metric
    cameras, truth = [k.camera for k in found.keyframes], [k.camera for k in room_views]
    sizes = [np.linalg.norm(c[-1].centre - c[0].centre) for c in (cameras, truth)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    np.testing.assert_array_equal(found.keyframes[0].depth, room_views[0].depth)


def test_depth_that_does_not_fit_gives_no_metres_and_is_not_used(room_views: list[Keyframe]) -> None:
    rng = np.random.default_rng(0)
    shape = room_views[0].image.shape[:2]
    wrong = [replace(unposed(v), depth=rng.uniform(0.5, 5, shape).astype(np.float32)) for v in room_views]
    found = recover(wrong)
    assert not found.metric
    assert all(view.depth is None for view in found.keyframes)


def test_the_world_is_upright_and_as_large_as_a_room(room_views: list[Keyframe]) -> None:
    found = recover([unposed(view) for view in room_views])
    first, true_first = found.keyframes[0].camera, room_views[0].camera
    np.testing.assert_allclose(first.centre, 0, atol=1e-9)
    up, true_up = -first.world_from_camera[2, 1], -true_first.world_from_camera[2, 1]
    assert up > 0.95 and true_up > 0.9
    assert room_views[0].depth is not None
    scale = np.linalg.norm(found.keyframes[3].camera.centre) / np.linalg.norm(
        room_views[3].camera.centre - true_first.centre
    )
    for found_view, view in zip(found.keyframes, room_views, strict=True):
        assert found_view.depth_range is not None and view.depth is not None
        near, far = np.array(found_view.depth_range) / scale
        assert near < np.nanquantile(view.depth, 0.05) and np.nanmax(view.depth) < far
    assert 0.6 < scale * np.nanmedian(room_views[0].depth) / NOMINAL_DEPTH < 1.6


def test_the_same_photos_give_the_same_cameras(room_views: list[Keyframe]) -> None:
    views = [unposed(view, "guessed", 1.2) for view in room_views[:3]]
    one, two = recover(views), recover(views)
    for a, b in zip(one.keyframes, two.keyframes, strict=True):
        np.testing.assert_array_equal(a.camera.world_from_camera, b.camera.world_from_camera)
        np.testing.assert_array_equal(a.camera.intrinsics, b.camera.intrinsics)


def test_photos_of_another_place_are_left_out_and_named(
    room_views: list[Keyframe], film_room: Callable[..., list[Keyframe]], caplog: pytest.LogCaptureFixture
) -> None:
    (other,) = film_room([(0.3, 0.6, 1.4)], [(0.0, -2.2, 1.2)])
    views = [*room_views[:3], replace(other, name="elsewhere")]
    with caplog.at_level("WARNING"):
        found = recover([unposed(view) for view in views])
    assert [k.name for k in found.keyframes] == [k.name for k in room_views[:3]]
    assert found.report["poses"]["left_out"] == ["elsewhere"]
    assert "elsewhere" in found.report["warnings"][0] and "elsewhere" in caplog.text
    with pytest.raises(GeometryError, match=r"at most 1 of 2 .*no other: 000000, elsewhere"):
        recover([unposed(view) for view in (views[0], views[3])])


def test_a_camera_that_only_turns_gives_no_map(film_room: Callable[..., list[Keyframe]]) -> None:
    eye = (-0.2, -1.0, 1.4)
    views = film_room([eye] * 3, [(-0.4, 2.0, 1.0), (-0.2, 2.0, 0.9), (0.1, 2.0, 1.0)])
    for worth in ("calibrated", "guessed"):
        with pytest.raises(GeometryError, match=r"no depth|one place only|only turned"):
            recover([unposed(view, worth) for view in views])


def test_the_same_photo_twice_gives_no_map(room_views: list[Keyframe]) -> None:
    same = [unposed(room_views[0]), replace(unposed(room_views[0]), name="copy")]
    with pytest.raises(GeometryError, match=r"no depth|one place only|only turned"):
        recover(same)


def test_photos_without_texture_are_named(room_views: list[Keyframe]) -> None:
    view = unposed(room_views[0])
    blank = [replace(view, name=name, image=np.full_like(view.image, 90)) for name in "ab"]
    with pytest.raises(GeometryError, match="with no other: a, b"):
        recover(blank)
    with pytest.raises(GeometryError, match="1 photo"):
        recover(blank[:1])


def test_a_wrong_calibration_gives_no_confident_map(room_views: list[Keyframe]) -> None:
    """Twice the true focal length, said to be exact: an error, or few points with large residuals."""
    right = recover([unposed(view) for view in room_views]).report["poses"]
    try:
        wrong = recover([unposed(view, focal=2.0) for view in room_views]).report["poses"]
    except GeometryError:
        return
    worse = wrong["reprojection_error_pixels"] > 1.5 * right["reprojection_error_pixels"]
    assert worse or wrong["points"] < 0.6 * right["points"]


@pytest.mark.parametrize("width", [320, 240])
def test_mixed_sizes_are_two_cameras(room_views: list[Keyframe], width: int) -> None:
    views = [unposed(view, "prior", 1.04) for view in room_views]
    views[1] = reduce(views[1], width)
    found = recover(views)
    assert len(found.report["poses"]["cameras"]) == 2
    assert [k.camera.width for k in found.keyframes] == [400, width, 400, 400]
    truth = [k.camera for k in room_views]
    cameras = [k.camera for k in found.keyframes]
    assert largest_turn(cameras, truth) < 0.15
    assert aligned_error(cameras, truth) < 0.006
    # The small photo has a focal length of its own: one view tells it a little less well than three.
    for camera, true in zip(cameras, truth, strict=True):
        assert camera.intrinsics[0, 0] / camera.width == pytest.approx(
            true.intrinsics[0, 0] / true.width, rel=0.01
        )


def test_stopping_leaves_no_half_map(room_views: list[Keyframe]) -> None:
    class Stopped(Silent):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(GeometryError, match="stopped"):
        recover_poses([unposed(view) for view in room_views], PosesConfig(), Stopped())


@pytest.mark.parametrize(("name", "turned"), [("campus3", 15.0), ("berlin3", 5.0)])
def test_three_real_photos_get_cameras(real_data: Callable[[str], Path], name: str, turned: float) -> None:
    with open_source(real_data(name), SourceConfig()) as source:
        views = [reduce(frame, 800) for frame in source.frames()]
    found = recover(views, max_features=2048)
    report = found.report["poses"]
    assert report["registered"] == 3
    assert report["points"] > 300
    assert report["reprojection_error_pixels"] < 0.8
    cameras = [k.camera for k in found.keyframes]
    assert max(rotation_degrees(a, b) for a, b in combinations(cameras, 2)) > turned


def test_photos_that_do_not_overlap_are_an_error_that_names_them(
    real_data: Callable[[str], Path],
) -> None:
    with open_source(real_data("no_overlap8"), SourceConfig()) as source:
        views = [reduce(frame, 512) for frame in source.frames()]
    with pytest.raises(GeometryError, match=r"do not connect: at most \d of 8.*no other: .*no_overlap_2"):
        recover(views, max_features=2048)
