"""Few photos of unknown focal length: several first values are tried, the one that explains most is kept.

Two or three photos hardly tell a long lens far away from a wide one nearby; from a wrong start the mapper
ends in a wrong scene with few points. Where EXIF data give one, the mapper keeps it in one more try, and
only the last adjustment may change it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.mapper import quality, solve
from reconx_ros.geometry.poses.pairs import Pair
from reconx_ros.geometry.poses.verify import Link, verify
from reconx_ros.geometry.sparse.features import Features
from reconx_ros.keyframes.keyframe import Intrinsics

if TYPE_CHECKING:
    import pycolmap

FACTORS = (0.6, 0.8, 1.0, 1.4)
"""Of the guessed focal length: 80, 64, 53 and 39 degrees of view across a photo of 4:3."""

FEW = 10
"""Photos up to which it is worth the time; more determine their focal length."""


def solve_with_focal_lengths(
    cameras: "Sequence[pycolmap.Camera]",
    worth: Sequence[Intrinsics],
    camera_of: Sequence[int],
    features: Sequence[Features],
    links: Mapping[Pair, Link],
    config: PosesConfig,
) -> "list[pycolmap.Reconstruction]":
    """Solve (``mapper.solve``), for a few photos with guessed focal lengths from several of them.

    Args:
        cameras: distinct cameras.
        worth: what the intrinsics of each are worth; calibrated ones stay as they are.
        camera_of: index into ``cameras`` of each photo.
        features: of each photo.
        links: of photos (i, j), i < j.
        config: thresholds.

    Returns:
        The scenes of the best start.
    """
    fixed = [value == "calibrated" for value in worth]
    best = solve(cameras, camera_of, features, links, config, fixed)
    if len(features) > FEW:
        return best
    if "prior" in worth:
        held = [value == "prior" for value in worth]
        best = _better(best, solve(cameras, camera_of, features, links, config, fixed, held))
    if "guessed" not in worth:
        return best
    for factor in FACTORS:
        trial = [_scaled(c, factor) if w == "guessed" else c for c, w in zip(cameras, worth, strict=True)]
        again = _verified(trial, camera_of, features, links, config)
        best = _better(best, solve(trial, camera_of, features, again, config, fixed))
    return best


def _better(
    best: "list[pycolmap.Reconstruction]", scenes: "list[pycolmap.Reconstruction]"
) -> "list[pycolmap.Reconstruction]":
    return scenes if scenes and (not best or quality(scenes[0]) > quality(best[0])) else best


def _scaled(camera: "pycolmap.Camera", factor: float) -> "pycolmap.Camera":
    """Return a camera of ``factor`` times the focal length, taken for known when matches are verified."""
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    focal, *rest = camera.params
    scaled = pycolmap.Camera(
        model=camera.model_name, width=camera.width, height=camera.height, params=[factor * focal, *rest]
    )
    scaled.camera_id, scaled.has_prior_focal_length = camera.camera_id, True
    return scaled


def _verified(
    cameras: "Sequence[pycolmap.Camera]",
    camera_of: Sequence[int],
    features: Sequence[Features],
    links: Mapping[Pair, Link],
    config: PosesConfig,
) -> dict[Pair, Link]:
    again: dict[Pair, Link] = {}
    for (i, j), link in links.items():
        both = cameras[camera_of[i]], cameras[camera_of[j]]
        found = verify(link.matches, (features[i], features[j]), both, config.min_matches, config.seed)
        if found is not None:
            again[i, j] = found
    return again
