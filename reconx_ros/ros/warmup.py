"""Compile what is compiled on first use before the first keyframe comes, on a scene of our own."""

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.structure.plan import plan_trajectory

WIDTH, HEIGHT = 64, 48


def warm_up(config: ReconxConfig) -> None:
    """Map two views of a wall and draw the result; takes a moment, or longer the first time ever."""
    mapper = IncrementalMapper(config)
    for index in range(2):
        mapper.add(_keyframe(index))
        mapper.refine(0.01)
    snapshot = mapper.snapshot()
    if snapshot is not None:
        render_view(snapshot.gaussians, snapshot.keyframes[-1].camera)
        if mapper.imagination.wanted:
            plan_trajectory(snapshot.keyframes, 2, snapshot.cloud, config.synthesis.plan)


def _keyframe(index: int) -> Keyframe:
    pose = np.eye(4)
    pose[0, 3] = 0.1 * index
    matrix = np.array([[60.0, 0, (WIDTH - 1) / 2], [0, 60.0, (HEIGHT - 1) / 2], [0, 0, 1]])
    noise = np.random.default_rng(index).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    return Keyframe(f"{index:06d}", index, noise, Camera(matrix, pose, WIDTH, HEIGHT), depth)
