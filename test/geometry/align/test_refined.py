from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_views
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

CONFIG = GeometryConfig(
    method="rgbd", alignment=AlignmentConfig(refine_rgbd=True, position_deviation=0.05, samples=300)
)


@pytest.fixture(scope="module")
def kitchen(redkitchen_bag: Path) -> list[Keyframe]:
    with open_source(redkitchen_bag, SourceConfig()) as source:
        return select_views(source.frames(), range(0, 25, 4), 320)


def steps(keyframes: list[Keyframe]) -> np.ndarray:
    """Return how each view stands in the frame of the one before, [N, 3]."""
    pairs = pairwise(keyframes)
    poses = [a.camera.camera_from_world @ b.camera.world_from_camera for a, b in pairs]
    return np.stack(poses)[:, :3, 3]


def test_rough_odometry_is_refined_before_the_room_is_asked(kitchen: list[Keyframe]) -> None:
    random = np.random.default_rng(1)
    rough = []
    for keyframe in kitchen:
        pose = keyframe.camera.world_from_camera.copy()
        pose[:3, 3] += 0.05 * random.standard_normal(3)
        rough.append(replace(keyframe, camera=keyframe.camera.moved(pose)))
    room = choose_geometry(CONFIG, rough)
    assert room.name == "rgbd"
    estimate = room.estimate(rough, Silent())
    before, after = (
        np.linalg.norm(steps(views) - steps(kitchen), axis=1) for views in (rough, list(estimate.keyframes))
    )
    assert np.median(after) < 0.3 * np.median(before)
    assert all(pointmap.known.any() for pointmap in estimate.pointmaps)
    live = room.estimate([*kitchen[:-1], rough[-1]], Silent(), only=[6])
    assert len(live.keyframes) == 1
    gap = np.linalg.norm(live.keyframes[0].camera.centre - kitchen[-1].camera.centre)
    assert gap < 0.03


def test_views_that_cannot_be_registered_stay_as_they_are(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [plane_keyframe(), plane_keyframe(centre=(0.1, 0, 0), name="b")]
    estimate = choose_geometry(CONFIG, views).estimate(views, Silent())
    for keyframe, view in zip(estimate.keyframes, views, strict=True):
        assert np.array_equal(keyframe.camera.world_from_camera, view.camera.world_from_camera)
