"""When photos give no map, and what to tell whoever took them."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.groups import groups
from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.pairs import Pair
from reconx_ros.geometry.poses.verify import Link

if TYPE_CHECKING:
    import pycolmap

NO_PARALLAX = 1.0
"""Degrees: where half of the points are seen under less, depth is made of noise."""

LEAST_POINTS = 30
MAX_MEAN_ERROR = 2.0
"""Pixels; a mean reprojection error above it is no solution."""

FOCAL_RANGE = (0.4, 2.5)
"""Refined focal length over the first one beyond which the geometry is degenerate."""


def check_groups(names: Sequence[str], links: Mapping[Pair, Link], config: PosesConfig) -> None:
    """Make sure that enough photos hang together.

    Raises:
        GeometryError: they do not; names the groups and the photos that connect with none.
    """
    parts = groups(len(names), links)
    if len(parts[0]) > max(1, config.min_share * len(names)):
        return
    alone = [names[part[0]] for part in parts if len(part) == 1]
    together = [listed([names[i] for i in part], 8) for part in parts if len(part) > 1]
    found = f": ({'), ('.join(together)})" if together else ""
    lost = f"; these overlap with no other: {listed(alone, 12)}" if alone else ""
    raise GeometryError(
        f"the photos do not connect: at most {len(parts[0])} of {len(names)} hang together{found}{lost}. "
        "Take photos that overlap by half"
    )


def check_solved(
    names: Sequence[str],
    links: Mapping[Pair, Link],
    scenes: "Sequence[pycolmap.Reconstruction]",
    config: PosesConfig,
) -> None:
    """Make sure that enough photos got a camera.

    Raises:
        GeometryError: they did not; says whether the camera only turned, or names who is missing.
    """
    solved = {int(scenes[0].image(i).name) for i in scenes[0].reg_image_ids()} if scenes else set()
    if len(solved) > max(1, config.min_share * len(names)):
        return
    widest = max(link.angle for link in links.values())
    if widest < NO_PARALLAX:
        raise GeometryError(_no_parallax(len(names), widest))
    missing = [name for i, name in enumerate(names) if i not in solved]
    raise GeometryError(
        f"cameras of {len(solved)} of {len(names)} photos could be found; not of {listed(missing, 12)}. "
        "They match, but too little or from one place only: step aside between photos, overlap by half"
    )


def check_scene(
    names: Sequence[str], scene: "pycolmap.Reconstruction", before: Mapping[int, Camera]
) -> None:
    """Make sure that a solved scene means something.

    Args:
        names: of all photos.
        scene: the solution.
        before: the camera each photo had before.

    Raises:
        GeometryError: too few points, large errors, no parallax, or an absurd focal length.
    """
    angle = parallax(scene)
    if angle < NO_PARALLAX:
        raise GeometryError(_no_parallax(len(names), angle))
    error = scene.compute_mean_reprojection_error()
    if scene.num_points3D() < LEAST_POINTS or error > MAX_MEAN_ERROR:
        raise GeometryError(
            f"the photos give {scene.num_points3D()} points with a mean error of {error:.2f} pixels; at "
            f"least {LEAST_POINTS} and at most {MAX_MEAN_ERROR:g} are needed. Was the camera only turned, "
            "did things move, is K wrong?"
        )
    for image_id in scene.reg_image_ids():
        image = scene.image(image_id)
        ratio = image.camera.mean_focal_length() / before[int(image.name)].intrinsics[0, 0]
        if not FOCAL_RANGE[0] <= ratio <= FOCAL_RANGE[1]:
            raise GeometryError(
                f"the focal length of photo {names[int(image.name)]} came out {ratio:.2f} times its first "
                "value; the photos do not determine it (a flat scene, a zoom?), give a K.txt"
            )


def parallax(scene: "pycolmap.Reconstruction") -> float:
    """Return the median over points of the widest angle between two of their rays, degrees; 0 of none."""
    centres = {i: scene.image(i).projection_center() for i in scene.reg_image_ids()}
    widest = []
    for point in scene.points3D.values():
        rays = np.stack([centres[element.image_id] for element in point.track.elements]) - point.xyz
        rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
        cosine = min((float(a @ b) for a, b in combinations(rays, 2)), default=1.0)
        widest.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return float(np.median(widest)) if widest else 0.0


def listed(names: Sequence[str], most: int) -> str:
    """Return up to ``most`` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _no_parallax(count: int, angle: float) -> str:
    return (
        f"the {count} photos match but show no depth: rays to a point differ by {angle:.1f} degrees. The "
        "camera only turned, or the photos are the same: move it sideways between them"
    )
