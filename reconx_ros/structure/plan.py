"""Plan the path along which the unseen parts are filmed: from keyframe to keyframe."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.structure.trajectory import Trajectory

SHARED = 0.05
"""Share of what one keyframe sees of the cloud that the next must see for a clip between them."""


def plan_trajectory(keyframes: Sequence[Keyframe], count: int, cloud: PointCloud) -> Trajectory:
    """Plan a clip of ``count`` frames between each two consecutive posed keyframes.

    The first and last camera of a clip are those of its keyframes, exactly. Between them the
    optical centre moves on a straight line at constant speed and the rotation turns about one axis
    at constant speed (slerp). Two keyframes that hardly see the same part of the cloud get no clip:
    nothing is known about the space between them.

    Args:
        keyframes: in time order.
        count: frames a clip, both ends included; 0 plans nothing.
        cloud: the global point cloud.

    Raises:
        SynthesisError: ``count`` is 1 or negative.
    """
    if count < 0 or count == 1:
        raise SynthesisError(f"{count} frames a clip: its two ends are needed, so 0 or at least 2")
    posed = [index for index, keyframe in enumerate(keyframes) if keyframe.posed]
    seen = {index: visible(keyframes[index].camera, cloud) for index in posed} if count else {}
    cameras: list[Camera] = []
    anchors: list[tuple[int, int]] = []
    for first, last in pairwise(posed if count else []):
        if shared(seen[first], seen[last]) >= SHARED:
            cameras += interpolate(keyframes[first].camera, keyframes[last].camera, count)
            anchors.append((first, last))
    return Trajectory(tuple(cameras), tuple(anchors))


def interpolate(first: Camera, last: Camera, count: int) -> list[Camera]:
    """Return ``count`` >= 2 cameras from ``first`` to ``last``, both included as they are.

    Image size is that of ``first``; where ``last`` has the same size the intrinsics move linearly.
    """
    relative = first.world_from_camera[:3, :3].T @ last.world_from_camera[:3, :3]
    axis_angle = cv2.Rodrigues(relative)[0][:, 0]
    same_size = (first.width, first.height) == (last.width, last.height)
    target = last.intrinsics if same_size else first.intrinsics
    cameras = [first]
    for share in np.linspace(0, 1, count)[1:-1]:
        pose = np.eye(4)
        pose[:3, :3] = first.world_from_camera[:3, :3] @ cv2.Rodrigues(share * axis_angle)[0]
        pose[:3, 3] = (1 - share) * first.centre + share * last.centre
        intrinsics = (1 - share) * first.intrinsics + share * target
        cameras.append(replace(first, intrinsics=intrinsics, world_from_camera=pose))
    return [*cameras, last]


def visible(camera: Camera, cloud: PointCloud) -> NDArray[np.bool_]:
    """Return which points ([N] bool) of ``cloud`` are in the image of ``camera`` and face it."""
    points = cloud.points.astype(np.float64)
    pixels, depth = camera.project(points)
    inside = (depth > 0) & (pixels > -0.5).all(axis=1)
    inside &= (pixels < np.array([camera.width, camera.height]) - 0.5).all(axis=1)
    facing = ((camera.centre - points) * cloud.normals).sum(axis=1) > 0
    return np.asarray(inside & facing, dtype=np.bool_)


def shared(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the share of the smaller of two sets of points that lies in both; 0 of nothing."""
    smaller = min(np.count_nonzero(first), np.count_nonzero(second))
    return float(np.count_nonzero(first & second)) / smaller if smaller else 0.0
