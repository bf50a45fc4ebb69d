"""Scenes that trajectories are planned in, with what is truly there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.progress import Silent
from reconx_ros.simulation.film import intrinsics, photograph
from reconx_ros.simulation.paths import clearance
from reconx_ros.simulation.render import Rendering, View, render
from reconx_ros.simulation.sensor import SensorNoise
from reconx_ros.simulation.stages import Stage, clutter, corridor, living
from reconx_ros.simulation.viewpoints import free_eye, looking, second_reference
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.structure.survey import survey

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

SIZE = (160, 120)
KINDS: dict[str, Callable[[int], Stage]] = {"room": living, "clutter": clutter, "corridor": corridor}


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs and the truth.

    Attributes:
        name: of the scene and the number of its keyframes.
        keyframes: the inputs.
        cloud: what geometry made of them.
        depth: the true depth [h, w] in a camera, infinite where nothing is or nothing is known.
        distance: of points [N, 3] to the nearest true surface, negative inside; without truth ``None``.
        picture: the true picture in a camera, [h, w, 3] in [0, 1]; without truth ``None``.
    """

    name: str
    keyframes: Sequence[Keyframe]
    cloud: PointCloud
    depth: Callable[[Camera], Floats]
    distance: Callable[[Array], Array] | None = None
    picture: Callable[[Camera], Floats] | None = None


def simulated(kind: str, seed: int, number: int) -> Case | None:
    """Return ``number`` keyframes of a walk in a procedural scene; ``None`` where it finds no way."""
    stage = KINDS[kind](seed)
    random = np.random.default_rng([seed, 3])
    eye = free_eye(stage, random)
    if eye is None:
        return None
    poses = [looking(eye, stage, random)]
    camera = Camera(intrinsics(*SIZE), np.eye(4), *SIZE)
    while len(poses) < number:
        depth = _rendered(stage, camera.moved(poses[-1])).depth[0].numpy()
        following = second_reference(poses[-1], float(np.nanmedian(depth)), stage, random)
        if following is None:
            return None
        poses.append(following)
    shots = enumerate(poses)
    keyframes = [
        photograph(stage.scene, camera.moved(pose), SensorNoise(), at, at, seed) for at, pose in shots
    ]

    def true_depth(where: Camera) -> Floats:
        found: Floats = _rendered(stage, where).depth[0].numpy()
        return np.nan_to_num(found, nan=np.inf)

    def picture(where: Camera) -> Floats:
        shown: Floats = _rendered(stage, where, antialias=True).color[0].numpy()
        return shown

    def distance(points: Array) -> Array:
        return clearance(stage.scene, points)

    return Case(f"{kind} {seed}", keyframes, cloud_of(keyframes), true_depth, distance, picture)


def _rendered(stage: Stage, where: Camera, antialias: bool = False) -> Rendering:
    lens, pose = (
        torch.from_numpy(each).float()[None] for each in (where.intrinsics, where.world_from_camera)
    )
    return render(stage.scene, View(lens, pose, where.width, where.height), antialias)


def cloud_of(keyframes: Sequence[Keyframe]) -> PointCloud:
    """Return what the depth camera's geometry makes of the keyframes."""
    config = GeometryConfig()
    return fuse(RgbdGeometry(config.rgbd).estimate(keyframes, Silent()), config.fusion)


def simulated_cases(number: int, scenes: int) -> Iterator[Case]:
    """Yield up to ``scenes`` cases of each kind with ``number`` keyframes."""
    for kind in KINDS:
        made = 0
        for seed in range(1000, 1000 + 4 * scenes):
            case = simulated(kind, seed, number)
            if case is not None and len(case.cloud):
                yield case
                made += 1
            if made == scenes:
                break


def recorded(bag: Path, number: int) -> Case:
    """Return ``number`` keyframes of a recording; the truth is the cloud of all its frames."""
    with open_source(bag, SourceConfig()) as source:
        frames = select_evenly(source.frames(), 80, 320)
    chosen = np.rint(np.linspace(0, len(frames) - 1, number)).astype(int)
    keyframes = [frames[at] for at in chosen]
    whole = survey(cloud_of(frames), [frame.camera for frame in frames])
    if whole is None:
        raise ValueError(f"{bag} holds no depth")
    return Case(bag.name, keyframes, cloud_of(keyframes), lambda camera: whole.draw(camera).depth)
