from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import RgbdConfig
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent

ROOM = RgbdGeometry(RgbdConfig())


class Recorder:
    """Keeps notes; cancels after some views."""

    def __init__(self, after: int | None = None) -> None:
        self.notes: list[tuple[str, int, int, str]] = []
        self.after = after

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.notes.append((stage, done, total, note))

    def cancelled(self) -> bool:
        return self.after is not None and len(self.notes) >= self.after


def test_points_of_a_tilted_plane_lie_on_it(plane_keyframe: Callable[..., Keyframe]) -> None:
    normal = Rotation.from_euler("xy", [20, 40], degrees=True).apply([0, 0, -1])
    keyframe = plane_keyframe(tuple(normal), (0.3, -0.1, 2.5), (0.1, 0.2, -0.3))
    keyframe = replace(
        keyframe, depth=np.where(keyframe.depth < 8, keyframe.depth, np.nan).astype(np.float32)
    )
    pointmap = ROOM.estimate([keyframe], Silent()).pointmaps[0]
    assert pointmap.known.any()
    distance = (pointmap.points[pointmap.known] - [0.3, -0.1, 2.5]) @ normal
    assert np.abs(distance).max() < 1e-5
    assert np.array_equal(pointmap.known, np.isfinite(keyframe.depth))
    assert pointmap.points.dtype == pointmap.normals.dtype == pointmap.confidence.dtype == np.float32


def test_float32_holds_far_from_the_origin(plane_keyframe: Callable[..., Keyframe]) -> None:
    keyframe = plane_keyframe(point=(500, -700, 2), centre=(500, -700, 0))
    points = ROOM.estimate([keyframe], Silent()).pointmaps[0].points
    assert np.abs(points[..., 2] - 2).max() < 1e-5
    assert np.abs(points[60, 80] - [500, -700, 2]).max() < 0.02


def test_edges_and_unknown_depth(plane_keyframe: Callable[..., Keyframe]) -> None:
    keyframe = plane_keyframe()
    keyframe.depth[:, 80:] = 3
    keyframe.depth[5:9, 5:9] = np.nan
    keyframe.depth[100, 20] = 20.0  # out of range
    pointmap = ROOM.estimate([keyframe], Silent()).pointmaps[0]
    assert (pointmap.confidence[20:, 79:81] == 1).all()
    assert pointmap.confidence[60, 40] > 3
    unknown = ~pointmap.known
    assert unknown[5:9, 5:9].all()
    assert unknown[100, 20]
    assert unknown.sum() == 17
    assert (pointmap.confidence[unknown] == 1).all()
    assert np.isnan(pointmap.normals[unknown]).all()


def test_a_wrong_patch_loses_confidence_and_agreement_gains_it(
    plane_keyframe: Callable[..., Keyframe],
) -> None:
    views = [plane_keyframe(centre=(x, 0, 0), name=str(x)) for x in (0.0, 0.1, 0.2)]
    alone = ROOM.estimate(views[:1], Silent()).pointmaps[0].confidence
    views[0].depth[50:70, 70:90] = 1.2
    together = ROOM.estimate(views, Silent()).pointmaps[0].confidence
    assert together[60, 80] < 1.2  # two views saw through the middle of the patch
    assert alone[60, 80] > 3
    assert together[60, 120] > alone[60, 120] + 0.3  # seen by all


def test_only_the_wanted_views_are_estimated_with_the_support_of_all(
    plane_keyframe: Callable[..., Keyframe],
) -> None:
    views = [plane_keyframe(centre=(x, 0, 0), name=str(x)) for x in (0.0, 0.1, 0.2)]
    every = ROOM.estimate(views, Silent())
    one = ROOM.estimate(views, Silent(), only=[2])
    assert one.keyframes == (views[2],)
    assert np.array_equal(one.pointmaps[0].confidence, every.pointmaps[2].confidence)
    assert every.metric
    assert not RgbdGeometry(RgbdConfig(), metric=False).estimate(views[:1], Silent()).metric


def test_one_keyframe_works_and_is_noted(plane_keyframe: Callable[..., Keyframe]) -> None:
    recorder = Recorder()
    ROOM.estimate([plane_keyframe()], recorder)
    assert recorder.notes == [("geometry", 1, 1, "no other view to compare with")]


def test_cancelling_returns_the_views_done(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [plane_keyframe(centre=(x, 0, 0), name=str(x)) for x in (0.0, 0.1, 0.2)]
    estimate = ROOM.estimate(views, Recorder(after=2))
    assert len(estimate.keyframes) == len(estimate.pointmaps) == 2


def test_views_without_depth_or_pose_are_unknown_everywhere(
    plane_keyframe: Callable[..., Keyframe],
) -> None:
    views = [
        plane_keyframe(),
        replace(plane_keyframe(), depth=None),
        replace(plane_keyframe(), posed=False),
    ]
    estimate = ROOM.estimate(views, Silent())
    assert [pointmap.known.any() for pointmap in estimate.pointmaps] == [True, False, False]
    assert (estimate.pointmaps[1].confidence == 1).all()


def test_known_errors(plane_keyframe: Callable[..., Keyframe]) -> None:
    good = plane_keyframe(name="bad one")
    skewed = good.camera.world_from_camera.copy()
    skewed[0, 1] = 0.3
    mirrored = np.diag([-1.0, 1, 1, 1])
    no_focal = good.camera.intrinsics * 0
    blank = np.full_like(good.depth, np.nan)
    cases = [
        ([], "0 posed of 0 keyframes"),
        ([replace(good, depth=None)], "no depth between 0.2 m and 8.0 m"),
        ([replace(good, depth=blank)], "no depth"),
        ([replace(good, depth=blank * 0)], "no depth"),
        ([replace(good, posed=False)], "0 posed of 1"),
        ([replace(good, camera=good.camera.moved(skewed))], "bad one: world_from_camera"),
        ([replace(good, camera=good.camera.moved(mirrored))], "bad one: world_from_camera"),
        ([replace(good, camera=good.camera.moved(np.full((4, 4), np.nan)))], "world_from_camera"),
        ([replace(good, camera=replace(good.camera, intrinsics=no_focal))], "camera_info"),
        ([replace(good, depth=good.depth[:-1])], "depth of (119, 160)"),
        ([replace(good, image=good.image[:0], camera=replace(good.camera, height=0))], "not empty"),
    ]
    for keyframes, message in cases:
        with pytest.raises(GeometryError) as caught:
            ROOM.estimate(keyframes, Silent())
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
