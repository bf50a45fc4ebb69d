"""Compile what is compiled on first use before the first keyframe comes, on a scene of our own.

The very first time takes a minute, in a process of its own: a compiler leaves half a GB behind that the
worker would hold as long as it lives. Later ones read from disk, which takes 3 s.

    python -m reconx_ros.ros.warmup < config.json
"""

import contextlib
import fcntl
import hashlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.splatting.cpu.compilation import kernel_folder
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.structure.plan import plan_trajectory

WIDTH, HEIGHT, DEPTH, VIEWS = 160, 120, 2.0, 3


def compile_apart(config: ReconxConfig) -> bool:
    """Compile in another process what ``warm_up`` needs and the disk lacks; return whether it did."""
    folder = kernel_folder()
    done = None if folder is None else folder / f"warm-{_state(config)}"
    if done is None or done.exists():
        return False
    command, settings = [sys.executable, "-m", "reconx_ros.ros.warmup"], config.model_dump_json()
    with contextlib.suppress(OSError), _alone(done.parent):  # else it is compiled here, on first use
        if done.exists():
            return False
        child = subprocess.run(command, input=settings, text=True, check=False)
        if child.returncode == 0:
            done.touch()
            return True
    return False


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait while another process compiles into ``folder``: it is what we need, or most of it."""
    with (folder / "compiling").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _state(config: ReconxConfig) -> str:
    """Return a name for the settings and for the files that kernels are compiled from."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(f"{path.name} {path.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def warm_up(config: ReconxConfig) -> None:
    """Map a few views of a wall and draw the result; takes a moment, or longer the first time ever."""
    with _silent():
        _map_a_wall(config)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep warnings to ourselves: nobody is to take them for ones about the map."""
    logger = logging.getLogger("reconx_ros")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _map_a_wall(config: ReconxConfig) -> None:
    mapper = IncrementalMapper(config)
    for index in range(VIEWS):
        mapper.add(_keyframe(index))
        mapper.refine(0.01)
    snapshot = mapper.snapshot()
    if snapshot is not None:
        render_view(snapshot.gaussians, snapshot.keyframes[-1].camera, *config.drawing)
        if mapper.imagination.wanted:
            plan_trajectory(snapshot.keyframes, 2, snapshot.cloud, config.synthesis.plan)


def _keyframe(index: int) -> Keyframe:
    pose = np.eye(4)
    pose[0, 3] = 0.2 * index
    matrix = np.array([[140.0, 0, (WIDTH - 1) / 2], [0, 140.0, (HEIGHT - 1) / 2], [0, 0, 1]])
    # What the wall shows moves as the wall does: stereo finds it, and compiles all it needs.
    wall = np.random.default_rng(0).integers(0, 255, (HEIGHT // 3, WIDTH // 2, 3), dtype=np.uint8)
    drawn = cv2.resize(wall, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    start = round(matrix[0, 0] * pose[0, 3] / DEPTH)
    image = np.ascontiguousarray(drawn[:, start : start + WIDTH])
    depth = np.full((HEIGHT, WIDTH), DEPTH, np.float32)
    return Keyframe(f"{index:06d}", index, image, Camera(matrix, pose, WIDTH, HEIGHT), depth)


if __name__ == "__main__":
    warm_up(ReconxConfig.model_validate_json(sys.stdin.read()))
