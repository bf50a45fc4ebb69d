"""Journals and what is noted in them, for tests."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import AddKeyframe, Begin, ClearBox, Correct


def keyframe(index: int) -> Keyframe:
    pose = np.eye(4)
    pose[0, 3] = index
    camera = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), pose, 64, 48)
    rng = np.random.default_rng(index)
    depth = rng.uniform(0.5, 4, (48, 64)).astype(np.float32)
    depth[:5] = np.nan
    image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return Keyframe(f"{index:06d}", index, image, camera, depth, pose_covariance=np.eye(6) * index)


def begin(capacity: int = 64) -> Begin:
    return Begin(load_config("fast", overrides={"keyframes": {"capacity": capacity}}))


def reopened(made: Journal, folder: Path, said: list[str] | None = None) -> Journal:
    """What another process finds when this one is killed now."""
    made.flush()
    return Journal(begin(), folder, print if said is None else said.append)


def names(made: Journal) -> list[str]:
    return [c.keyframe.name for c in made.replay() if isinstance(c, AddKeyframe)]


def box(low: float = 0.0) -> ClearBox:
    return ClearBox(5, np.full(3, low), np.ones(3), np.eye(4))


def moved_by(metres: float, *indices: int) -> Correct:
    """A correction of keyframes along y."""
    poses = np.stack([keyframe(index).camera.world_from_camera for index in indices])
    poses[:, 1, 3] += metres
    return Correct(tuple(f"{index:06d}" for index in indices), poses)


def refuse(number: int) -> Callable[..., Any]:
    """A ``Path.open`` for a disk that cannot be written."""
    real = Path.open

    def attempt(file: Path, mode: str = "r", *more: Any, **named: Any) -> Any:  # noqa: ANN401
        if mode[0] != "r":
            raise OSError(number, os.strerror(number))
        return real(file, mode, *more, **named)

    return attempt
