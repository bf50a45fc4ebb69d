"""A scene of unknown place, direction and scale put upright, at its own size or at that of a room."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.colmap import HALF_PIXEL
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH

if TYPE_CHECKING:
    import pycolmap

Array = NDArray[np.float64]

ENOUGH_POINTS = 20
SAME_SCALE = 0.2
"""Relative spread of the middle half of ratios of depth that still tells a scale."""

NEARER, FARTHER = 0.6, 2.0
"""Of the nearest and farthest points, where depth is searched."""


def settle(scene: "pycolmap.Reconstruction", scale: float | None = None) -> None:
    """Move ``scene`` in place: z up, the first photo at the origin, ``scale`` times as large.

    Without ``scale`` points come to lie ``NOMINAL_DEPTH`` away. Up is the mean of the photos' own up:
    people hold cameras level.
    """
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    images = [scene.image(i) for i in sorted(scene.reg_image_ids())]
    poses = [image.cam_from_world() for image in images]
    up = -np.sum([pose.rotation.matrix()[1] for pose in poses], axis=0)
    rotation = turn_to_z(up)
    scale = NOMINAL_DEPTH / median_depth(scene) if scale is None else scale
    origin = images[0].projection_center()
    move = np.column_stack([scale * rotation, -scale * rotation @ origin])
    scene.transform(pycolmap.Sim3d(move))


def measured_scale(
    scene: "pycolmap.Reconstruction", depths: Mapping[int, NDArray[np.float32]]
) -> float | None:
    """Return the metres that a unit of ``scene`` is by measured depth: the median over observations.

    Args:
        scene: images are named by the index of their view.
        depths: [H, W] metres, NaN unknown, by the index of the view, as the camera sees it (distorted).

    Returns:
        ``None`` where fewer than ``ENOUGH_POINTS`` observations have depth, or where the middle half of
        the ratios differs by more than ``SAME_SCALE``: depth of another camera, or a wrong solution.
    """
    ratios = []
    for image_id in scene.reg_image_ids():
        image = scene.image(image_id)
        depth = depths.get(int(image.name))
        if depth is None:
            continue
        observed = image.get_observation_points2D()
        points = np.array([scene.point3D(p.point3D_id).xyz for p in observed]).reshape(-1, 3)
        pixels = np.array([p.xy for p in observed]).reshape(-1, 2) - HALF_PIXEL
        pose = image.cam_from_world()
        solved = (points @ pose.rotation.matrix().T + pose.translation)[:, 2]
        column, row = np.clip(np.rint(pixels), 0, [depth.shape[1] - 1, depth.shape[0] - 1]).astype(int).T
        ratios.append(depth[row, column] / solved)
    found = np.concatenate([np.empty(0), *ratios])
    found = found[np.isfinite(found) & (found > 0)]
    if len(found) < ENOUGH_POINTS:
        return None
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
    return float(middle) if high - low <= SAME_SCALE * middle else None


def median_depth(scene: "pycolmap.Reconstruction") -> float:
    """Return the median depth of all observations in the camera that sees them."""
    depths = []
    for point in scene.points3D.values():
        for element in point.track.elements:
            pose = scene.image(element.image_id).cam_from_world()
            depths.append(float((pose * point.xyz)[2]))
    return float(np.median(depths))


def depth_range(scene: "pycolmap.Reconstruction", image: "pycolmap.Image") -> tuple[float, float] | None:
    """Return the nearest and farthest depth to search in an image, from the points it sees.

    Surfaces reach beyond the outermost features: room is left on both sides. ``None`` where there are
    fewer than ``ENOUGH_POINTS``.
    """
    pose = image.cam_from_world()
    seen = [scene.point3D(point.point3D_id).xyz for point in image.get_observation_points2D()]
    if len(seen) < ENOUGH_POINTS:
        return None
    depths = (np.array(seen) @ pose.rotation.matrix().T + pose.translation)[:, 2]
    low, high = np.quantile(depths, (0.02, 0.98))
    return NEARER * float(low), FARTHER * float(high)


def turn_to_z(up: Array) -> Array:
    """Return the shortest rotation that takes ``up`` to z."""
    length = float(np.linalg.norm(up))
    up = up / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, [0.0, 0.0, 1.0]), float(up[2])
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
