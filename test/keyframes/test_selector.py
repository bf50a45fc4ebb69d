from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.selector import KeyframeSelector, Verdict, rotation_degrees

CONFIG = KeyframeConfig(min_baseline=0.2, min_rotation=10, max_overlap=0.8)


def test_each_reason(make_view: Callable[..., Keyframe]) -> None:
    selector = KeyframeSelector(CONFIG)
    first = make_view()
    flipped = replace(first, depth=first.depth[:-1])
    no_focal = replace(first.camera, intrinsics=first.camera.intrinsics * 0)
    offers = [
        (first, Verdict.ACCEPTED),
        (make_view(centre=(0.19, 0, 0), yaw=9), Verdict.TOO_CLOSE),
        (make_view(centre=(0.3, 0, 0)), Verdict.REDUNDANT),  # 7 percent of the view is new
        (make_view(centre=(1.0, 0, 0)), Verdict.ACCEPTED),
        (make_view(centre=(1.0, 0, 0), yaw=40), Verdict.ACCEPTED),
        (make_view(centre=(0.02, 0, 0)), Verdict.REDUNDANT),  # back at the first one
        (make_view(centre=(3.0, 0, 0), posed=False), Verdict.UNPOSED),
        (make_view(centre=(3.0, 0, 0), blur=True), Verdict.BLURRED),
        (flipped, Verdict.INVALID),
        (replace(first, camera=no_focal), Verdict.INVALID),
        (replace(first, camera=first.camera.moved(np.full((4, 4), np.nan))), Verdict.INVALID),
        (replace(first, image=first.image[:0], camera=replace(first.camera, height=0)), Verdict.INVALID),
    ]
    assert [selector.offer(frame) for frame, _ in offers] == [verdict for _, verdict in offers]
    assert selector.counts.total() == len(offers)
    assert selector.counts[Verdict.INVALID] == 4


def test_thresholds_scale_with_a_world_that_is_not_metric(make_view: Callable[..., Keyframe]) -> None:
    path = [(x, 0.0, 0.0) for x in np.arange(0, 3, 0.11)]
    metric, other = KeyframeSelector(CONFIG), KeyframeSelector(CONFIG, scale=50)
    for x, y, z in path:
        mine = metric.offer(make_view(centre=(x, y, z), depth=None))
        assert other.offer(make_view(centre=(50 * x, y, z), depth=None)) is mine
    assert 3 < metric.counts[Verdict.ACCEPTED] < 10


@given(st.floats(0, 180), st.integers(0, 100))
def test_rotation_is_the_angle_of_the_relative_rotation(angle: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    start = Rotation.random(random_state=seed)
    turned = start * Rotation.from_rotvec(np.radians(angle) * axis / np.linalg.norm(axis))
    cameras = []
    for rotation in (start, turned):
        pose = np.eye(4)
        pose[:3, :3] = rotation.as_matrix()
        cameras.append(Camera(np.eye(3), pose, 4, 3))
    assert rotation_degrees(*cameras) == pytest.approx(angle, abs=1e-5)
