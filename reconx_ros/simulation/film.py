"""Filming a procedural scene: posed frames with exact or noisy colour and depth."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress
from reconx_ros.simulation.cores import in_order
from reconx_ros.simulation.paths import orbit_path
from reconx_ros.simulation.render import View, render
from reconx_ros.simulation.rooms import room
from reconx_ros.simulation.scene import Scene
from reconx_ros.simulation.sensor import SensorNoise, expose, measure

START_NS = 1_700_000_000_000_000_000


def film(
    scene: str,
    seed: int,
    frames: int,
    rate_hz: float,
    width: int,
    height: int,
    noise: SensorNoise,
    progress: Progress,
) -> Iterator[Keyframe]:
    """Yield the frames of a walk through a scene, in time order (arguments as ``simulate``)."""
    progress.update("scene", 0, 1)
    world = room(seed)
    poses = orbit_path(world, frames, seed)
    progress.update("scene", 1, 1)
    camera = Camera(intrinsics(width, height), np.eye(4), width, height)

    def take(number: int) -> Keyframe:
        stamp = START_NS + round(number * 1e9 / rate_hz)
        return photograph(world, camera.moved(poses[number]), noise, number, stamp, seed)

    for number, frame in enumerate(in_order(take, frames, progress.cancelled)):
        yield frame
        progress.update("frames", number + 1, frames)


def photograph(
    scene: Scene, camera: Camera, noise: SensorNoise, number: int, stamp_ns: int, seed: int
) -> Keyframe:
    """Return frame ``number`` of the first scene of a batch, as a sensor with ``noise`` sees it."""
    k = torch.from_numpy(camera.intrinsics).float()[None]
    pose = torch.from_numpy(camera.world_from_camera).float()[None]
    seen = render(scene, View(k, pose, camera.width, camera.height))
    rays = camera.rays() @ camera.world_from_camera[:3, :3].T
    cosine = -(seen.normal[0].numpy() * rays).sum(-1) / np.linalg.norm(rays, axis=-1)
    return Keyframe(
        f"{number:06d}",
        stamp_ns,
        expose(seen.color[0].numpy(), noise, number, seed),
        camera,
        measure(seen.depth[0].numpy(), cosine.astype(np.float32), noise, number, seed),
    )


def intrinsics(width: int, height: int) -> NDArray[np.float64]:
    """Return K [3, 3] of a camera that sees 62.7 degrees across, like common RGB-D cameras."""
    focal = 525.0 * width / 640.0
    return np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
