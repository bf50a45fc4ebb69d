"""Points of submaps that rest on disk, as planners still see them."""

import zlib

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.geometry.voxel_store import Voxels
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.far import FarPoints
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.replies import MapReplies

WIDTH, HEIGHT = 64, 48
FAST = {"splatting": {"max_gaussians": 20_000, "steps": 10, "sh_degree": 1}}
NEAR = {"submap_radius": 1.0, "active_radius": 6.0}


def keyframe(name: str, x: float) -> Keyframe:
    """A view of a wall 2 m ahead, with a picture of its own."""
    pose = np.eye(4)
    pose[0, 3] = x
    k = np.array([[60.0, 0, (WIDTH - 1) / 2], [0, 60.0, (HEIGHT - 1) / 2], [0, 0, 1]])
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    return Keyframe(name, int(1e9 * x), image, Camera(k, pose, WIDTH, HEIGHT), depth)


def mapper(**mapping: float) -> IncrementalMapper:
    return IncrementalMapper(load_config("fast", None, {**FAST, "mapping": {**NEAR, **mapping}}))


def voxels(points: np.ndarray, weight: np.ndarray, provenance: np.ndarray) -> Voxels:
    count = len(points)
    values = np.concatenate([points, np.full((count, 3), 9.0), np.zeros((count, 3))], axis=1)
    ones, ids = np.ones(count, np.int32), np.arange(count) + 100
    alone = np.zeros(count, np.int32)
    values *= weight[:, None]
    return Voxels(ids, weight, values, ones, ones, provenance, ids, ones, 0.0 * weight, alone)


def test_of_each_voxel_the_most_confident_point_of_each_provenance_stays() -> None:
    points = np.array([[0.01, 0, 0], [0.02, 0, 0], [-0.01, 0, 0], [0.03, 0, 0], [0.09, 0, 0]])
    far = FarPoints.of(voxels(points, np.array([1.0, 3, 1, 2, 1]), np.uint8([0, 0, 0, 1, 0])), 0.05)
    assert far.ids.tolist() == [101, 102, 103, 104]
    np.testing.assert_allclose(far.points[:, 0], [0.02, -0.01, 0.03, 0.09], atol=1e-6)
    assert far.confidence.tolist() == [4, 2, 3, 2]
    assert far.provenance.tolist() == [0, 0, 1, 0]
    assert (far.colors == 9).all()


def test_what_rests_is_published_thinned_and_moves_and_comes_back_whole() -> None:
    made, replies = mapper(far_voxel=0.2), MapReplies()
    for index, x in enumerate((0.0, 0.3, 10.0)):
        made.add(keyframe(str(index), x))
    near, whole, far = made.snapshot(whole=False), made.snapshot(), made.far()
    assert near is not None and whole is not None
    behind = whole.cloud.points[whole.cloud.points[:, 0] < 5]
    assert len(np.unique(np.floor(behind / 0.2), axis=0)) == len(far) < 0.3 * len(behind)
    assert far.points[:, 0].max() < 5
    update = replies.make(0, made, "camera")
    assert update is not None
    assert update.points.count == len(near.cloud) + len(far)
    assert update.gaussians.count == len(near.gaussians)
    assert made.far() is made.far()  # so that nobody packs it again
    again = replies.make(0, made, "camera")
    assert again is not None
    assert (again.points.count, len(again.points.changed)) == (update.points.count, 0)

    lift = np.eye(4)
    lift[1, 3] = 0.5
    made.correct({k.name: lift @ k.camera.world_from_camera for k in whole.keyframes if k.name != "2"})
    np.testing.assert_allclose(made.far().points, far.points + np.float32([0, 0.5, 0]), atol=1e-5)
    made.add(keyframe("3", 0.6))  # back where it began: the other place rests now
    assert made.far().points[:, 0].min() > 5
    update = replies.make(0, made, "camera")
    assert update is not None
    assert update.points.count == len(made.ids[0]) + len(made.far())
    made.reset()
    assert len(made.far()) == 0


def test_of_too_many_the_nearest_submaps_are_published() -> None:
    def walked(most: int) -> FarPoints:
        made = mapper(far_points=most)
        for index, x in enumerate((0.0, 10.0, 20.0)):
            made.add(keyframe(str(index), x))
        return made.far()

    every = walked(500_000)
    assert every.points[:, 0].min() < 2
    nearest = walked(len(every) - 1)
    assert nearest.points[:, 0].min() > 5
    assert len(nearest) == pytest.approx(len(every) / 2, rel=0.1)
    assert len(walked(0)) == 0
