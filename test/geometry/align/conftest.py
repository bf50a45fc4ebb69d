"""Synthetic pairs: exact pointmaps of a simulated room, and what can be wrong with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.keyframes.keyframe import Keyframe

Array = NDArray[np.float64]
WIDTH, HEIGHT = 96, 72


@pytest.fixture(autouse=True, scope="module")
def one_thread(one_torch_thread: None) -> None:
    """Every test of this room has it."""


@pytest.fixture(scope="session")
def walk() -> tuple[Keyframe, ...]:
    """Ten views of half a walk around a furnished room."""
    from reconx_ros.simulation.film import intrinsics, photograph
    from reconx_ros.simulation.paths import orbit_path
    from reconx_ros.simulation.rooms import room
    from reconx_ros.simulation.sensor import SensorNoise

    scene = room(0, 0.3, 2)
    camera = Camera(intrinsics(WIDTH, HEIGHT), np.eye(4), WIDTH, HEIGHT)
    poses = orbit_path(scene, 20)[:10]
    return tuple(
        photograph(scene, camera.moved(pose), SensorNoise(), n, n, 0) for n, pose in enumerate(poses)
    )


@dataclass(frozen=True)
class Flaws:
    """What is wrong with predicted pairs.

    Attributes:
        noise: relative deviation of each point's depth.
        outliers: share of the points that are anywhere.
        wrong_pairs: number of pairs whose second view is somewhere else altogether.
        scales: deviation of the logarithm of the pairs' scales.
    """

    noise: float = 0.0
    outliers: float = 0.0
    wrong_pairs: int = 0
    scales: float = 0.5


def predict(
    keyframes: Sequence[Keyframe],
    ends: Sequence[tuple[int, int]],
    flaws: Flaws = Flaws(),
    seed: int = 0,
) -> list[PairPointMaps]:
    """Return what a network with ``flaws`` would say of the pairs ``ends``."""
    random = np.random.default_rng(seed)
    wrong = set(random.choice(len(ends), flaws.wrong_pairs, replace=False).tolist())
    return [_pair(keyframes, a, b, flaws, n in wrong, random) for n, (a, b) in enumerate(ends)]


def _pair(
    keyframes: Sequence[Keyframe],
    first: int,
    second: int,
    flaws: Flaws,
    wrong: bool,
    random: np.random.Generator,
) -> PairPointMaps:
    scale = float(np.exp(flaws.scales * random.standard_normal()))
    inverse = keyframes[first].camera.camera_from_world
    points = []
    for view in (first, second):
        depth, camera = keyframes[view].depth, keyframes[view].camera
        assert depth is not None
        noisy = depth * (1 + flaws.noise * random.standard_normal(depth.shape))
        bad = random.random(depth.shape) < flaws.outliers
        noisy = np.where(bad, depth * random.uniform(0.3, 2.0, depth.shape), noisy)
        if wrong and view == second:
            turned = camera.world_from_camera.copy()
            turned[:3, :3] = Rotation.from_euler("y", 25, degrees=True).as_matrix() @ turned[:3, :3]
            turned[:3, 3] += 0.5
            camera = camera.moved(turned)
        world = camera.rays() * noisy[..., None] @ camera.world_from_camera[:3, :3].T + camera.centre
        local = world @ inverse[:3, :3].T + inverse[:3, 3]
        points.append((scale * local).astype(np.float32))
    confidence = [np.where(np.isfinite(p[..., 2]), 5.0, 1.0).astype(np.float32) for p in points]
    return PairPointMaps(first, second, (points[0], points[1]), (confidence[0], confidence[1]))


def perturb(
    keyframes: Sequence[Keyframe], position: float, degrees: float, seed: int = 0
) -> list[Keyframe]:
    """Move poses by normal errors of ``position`` metres and ``degrees`` an axis."""
    random = np.random.default_rng(seed)
    result = []
    for keyframe in keyframes:
        pose = keyframe.camera.world_from_camera.copy()
        pose[:3, 3] += position * random.standard_normal(3)
        turn = np.deg2rad(degrees) * random.standard_normal(3)
        pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ pose[:3, :3]
        result.append(replace(keyframe, camera=keyframe.camera.moved(pose)))
    return result


@pytest.fixture(scope="session")
def predicted() -> Callable[..., list[PairPointMaps]]:
    """``predict``."""
    return predict


@pytest.fixture(scope="session")
def perturbed() -> Callable[..., list[Keyframe]]:
    """``perturb``."""
    return perturb


@pytest.fixture(scope="session")
def flaws() -> type[Flaws]:
    """``Flaws``."""
    return Flaws


@pytest.fixture(scope="session")
def neighbours() -> list[tuple[int, int]]:
    """Each of ten views with the next two, both ways round."""
    near = [(a, b) for a in range(10) for b in (a + 1, a + 2) if b < 10]
    return [*near, *((b, a) for a, b in near)]
