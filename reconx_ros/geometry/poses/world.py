"""A scene of unknown place, direction and scale put upright, at the size of a room."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reconx_ros.keyframes.overlap import NOMINAL_DEPTH

if TYPE_CHECKING:
    import pycolmap

Array = NDArray[np.float64]

ENOUGH_POINTS = 20
NEARER, FARTHER = 0.6, 2.0
"""Of the nearest and farthest points, where depth is searched."""


def settle(scene: "pycolmap.Reconstruction") -> None:
    """Move ``scene`` in place: z up, the first photo at the origin, points ``NOMINAL_DEPTH`` away.

    Up is the mean of the photos' own up: people hold cameras level.
    """
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    images = [scene.image(i) for i in sorted(scene.reg_image_ids())]
    poses = [image.cam_from_world() for image in images]
    up = -np.sum([pose.rotation.matrix()[1] for pose in poses], axis=0)
    rotation = _turn(up)
    scale = NOMINAL_DEPTH / median_depth(scene)
    origin = images[0].projection_center()
    move = np.column_stack([scale * rotation, -scale * rotation @ origin])
    scene.transform(pycolmap.Sim3d(move))


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


def _turn(up: Array) -> Array:
    """Return the shortest rotation that takes ``up`` to z."""
    length = float(np.linalg.norm(up))
    up = up / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, [0.0, 0.0, 1.0]), float(up[2])
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
