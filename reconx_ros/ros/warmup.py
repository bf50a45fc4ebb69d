"""Compile what is compiled on first use before the first keyframe comes, on a scene of our own."""

import cv2
import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.structure.plan import plan_trajectory

WIDTH, HEIGHT, DEPTH, VIEWS = 160, 120, 2.0, 3


def warm_up(config: ReconxConfig) -> None:
    """Map a few views of a wall and draw the result; takes a moment, or longer the first time ever."""
    mapper = IncrementalMapper(config)
    for index in range(VIEWS):
        mapper.add(_keyframe(index))
        mapper.refine(0.01)
    snapshot = mapper.snapshot()
    if snapshot is not None:
        render_view(snapshot.gaussians, snapshot.keyframes[-1].camera)
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
