"""A world without known poses, put upright."""

from dataclasses import replace

import numpy as np

from reconx_ros.geometry.align.align import Alignment
from reconx_ros.geometry.align.similarity import Similarity
from reconx_ros.geometry.poses.world import turn_to_z


def upright(alignment: Alignment) -> Alignment:
    """Return ``alignment`` in a world with z up and its first aligned camera at the origin.

    Up is the mean of the cameras' own up, as for photos whose cameras structure from motion finds
    (``poses.world.settle``).
    """
    poses = [
        c.world_from_camera for c, use in zip(alignment.cameras, alignment.aligned, strict=True) if use
    ]
    rotation = turn_to_z(-np.sum([pose[:3, 1] for pose in poses], axis=0))
    move = Similarity(1.0, rotation, -rotation @ poses[0][:3, 3])
    cameras = tuple(
        camera.moved(move.apply_pose(camera.world_from_camera)) if use else camera
        for camera, use in zip(alignment.cameras, alignment.aligned, strict=True)
    )
    both = np.kron(np.eye(2), rotation)
    return replace(alignment, cameras=cameras, covariance=both @ alignment.covariance @ both.T)
