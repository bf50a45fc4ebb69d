from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.geometry.align.align import align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.align.registration import MeasuredKeyframe, register, register_pairs
from reconx_ros.geometry.config import RgbdConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_views
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

CONFIG = RgbdConfig()


@pytest.fixture(scope="module")
def room_views() -> list[Keyframe]:
    """Three views of a simulated room, 10 degrees of the walk apart."""
    from reconx_ros.camera import Camera
    from reconx_ros.simulation.film import intrinsics, photograph
    from reconx_ros.simulation.paths import orbit_path
    from reconx_ros.simulation.rooms import room
    from reconx_ros.simulation.sensor import SensorNoise

    scene = room(0, 0.3, 2)
    camera = Camera(intrinsics(240, 180), np.eye(4), 240, 180)
    poses = orbit_path(scene, 36)[:3]
    return [photograph(scene, camera.moved(p), SensorNoise(), n, n, 0) for n, p in enumerate(poses)]


@pytest.fixture(scope="module")
def kitchen(redkitchen_bag: Path) -> list[Keyframe]:
    """Six frames, two thirds of a second apart."""
    with open_source(redkitchen_bag, SourceConfig()) as source:
        return select_views(source.frames(), range(0, 24, 4), 320)


def relative(first: Keyframe, second: Keyframe) -> NDArray[np.float64]:
    return first.camera.camera_from_world @ second.camera.world_from_camera


def difference(found: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """Metres and degrees."""
    change = np.linalg.inv(truth) @ found
    turn = np.arccos(np.clip((np.trace(change[:3, :3]) - 1) / 2, -1, 1))
    return float(np.linalg.norm(change[:3, 3])), float(np.rad2deg(turn))


def test_two_simulated_views_find_each_other_without_poses(room_views: Sequence[Keyframe]) -> None:
    blind = [replace(k, camera=k.camera.moved(np.eye(4)), posed=False) for k in room_views]
    one, two = (MeasuredKeyframe.of(k, CONFIG) for k in blind[:2])
    found = register(one, two)
    assert found is not None
    metres, degrees = difference(found, relative(*room_views[:2]))
    assert metres < 0.01
    assert degrees < 0.3


def test_pairs_come_both_ways_in_metres_and_agree(room_views: Sequence[Keyframe]) -> None:
    there, back = register_pairs(room_views, [(0, 1), (1, 0)], CONFIG)
    assert there.metric
    assert there.views == (0, 1)
    assert back.views == (1, 0)
    depth = room_views[0].depth
    assert depth is not None
    assert np.allclose(there.points[0][..., 2], depth, atol=1e-4)
    truth = room_views[1].camera.unproject(room_views[1].depth)
    world = room_views[0].camera.world_from_camera
    placed = there.points[1] @ world[:3, :3].T + world[:3, 3]
    assert np.nanmedian(np.linalg.norm(placed - truth, axis=2)) < 0.02
    assert (there.confidence[0] >= 1).all()


def test_views_that_share_nothing_give_no_pair(room_views: Sequence[Keyframe]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, room_views[1].image.shape).astype(np.uint8)
    views = [room_views[0], replace(room_views[1], image=noise), replace(room_views[2], depth=None)]
    assert register_pairs(views, [(0, 1), (1, 0), (0, 2), (1, 2)], CONFIG) == []
    blank = replace(room_views[0], image=np.full_like(room_views[0].image, 90))
    assert register_pairs([room_views[0], blank], [(0, 1)], CONFIG) == []


def test_real_odometry_off_by_decimetres_comes_back(kitchen: list[Keyframe]) -> None:
    random = np.random.default_rng(0)
    rough = []
    for keyframe in kitchen:
        pose = keyframe.camera.world_from_camera.copy()
        pose[:3, 3] += 0.1 * random.standard_normal(3)
        rough.append(replace(keyframe, camera=keyframe.camera.moved(pose)))
    pairs = register_pairs(rough, choose_pairs(rough, 3, True), CONFIG)
    assert len(pairs) >= 10
    config = AlignmentConfig(position_deviation=0.1, samples=300)
    found = align(pairs, [k.camera for k in rough], priors_of(rough, config), config)
    before, after = (
        [
            difference(a.camera_from_world @ b.world_from_camera, relative(one, two))[0]
            for a, b, one, two in zip(cameras, cameras[1:], kitchen, kitchen[1:], strict=False)
        ]
        for cameras in ([k.camera for k in rough], found.cameras)
    )
    assert np.median(after) < 0.02
    assert np.median(after) < 0.15 * np.median(before)
