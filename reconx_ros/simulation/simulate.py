"""`reconx simulate`: a recording of a walk through a procedural scene, with exact poses and depth."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import ConfigError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress, Silent
from reconx_ros.simulation.bag import Storage, check_output, write_bag
from reconx_ros.simulation.sensor import HANDHELD, SensorNoise, expose, measure

if TYPE_CHECKING:
    from reconx_ros.simulation.scene import Scene

SCENES = ("room",)
START_NS = 1_700_000_000_000_000_000


def simulate(
    output: Path,
    *,
    scene: str = "room",
    seed: int = 0,
    frames: int = 60,
    rate_hz: float = 3.0,
    width: int = 640,
    height: int = 480,
    noise: bool = False,
    raw: bool = False,
    storage: Storage = "mcap",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the bag of a simulated RGB-D camera carried once around a procedural scene.

    When ``progress`` asks to stop, the bag holds the frames made so far.

    Args:
        output: the bag folder to make.
        scene: one of ``SCENES``.
        seed: of the scene, the path and the noise.
        frames: number of frames.
        rate_hz: frames a second of recording.
        width: pixels.
        height: pixels.
        noise: simulate sensor noise, exposure drift and depth holes; otherwise only the rounding to
            8 bits and whole millimetres.
        raw: write raw colour images instead of JPEG.
        storage: ``mcap`` or ``sqlite3``.
        overwrite: replace a bag that is at ``output``.
        progress: told about every frame.

    Raises:
        ConfigError: an option is unknown or out of range.
        SourceError: ``output`` is taken or cannot be written.
    """
    _check(scene, seed, frames, rate_hz, width, height)
    check_output(Path(output), overwrite)
    errors = HANDHELD if noise else SensorNoise()
    recording = film(scene, seed, frames, rate_hz, width, height, errors, progress or Silent())
    write_bag(Path(output), recording, storage=storage, raw=raw, overwrite=overwrite)


def _check(scene: str, seed: int, frames: int, rate_hz: float, width: int, height: int) -> None:
    if scene not in SCENES:
        raise ConfigError(f"scene '{scene}' is unknown; choose one of {', '.join(SCENES)}")
    ranges = {"seed": (seed, 0, 2**31), "frames": (frames, 1, 100_000), "rate_hz": (rate_hz, 0.01, 1000)}
    ranges |= {"width": (width, 16, 8192), "height": (height, 16, 8192)}
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ConfigError(f"{name} = {value} is out of range; it must be from {low} to {high}")


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
    from reconx_ros.simulation.cores import in_order
    from reconx_ros.simulation.paths import orbit_path
    from reconx_ros.simulation.rooms import room

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
    scene: "Scene", camera: Camera, noise: SensorNoise, number: int, stamp_ns: int, seed: int
) -> Keyframe:
    """Return frame ``number`` of the first scene of a batch, as a sensor with ``noise`` sees it."""
    import torch

    from reconx_ros.simulation.render import View, render

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
