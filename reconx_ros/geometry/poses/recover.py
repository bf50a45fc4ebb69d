"""Keyframes without poses to posed ones: the stage before geometry, for photos."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.colmap import HALF_PIXEL, colmap_camera, world_from_camera
from reconx_ros.geometry.poses.checks import check_groups, check_scene, check_solved, listed
from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.focal import solve_with_focal_lengths
from reconx_ros.geometry.poses.pairs import Pair, candidate_pairs
from reconx_ros.geometry.poses.verify import Link, verify
from reconx_ros.geometry.poses.world import depth_range, measured_scale, settle
from reconx_ros.geometry.sparse.features import Features, extract_features
from reconx_ros.geometry.sparse.matching import match
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Intrinsics, Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.progress import Progress
from reconx_ros.sources.intrinsics import CameraModel, Undistorter

if TYPE_CHECKING:
    import pycolmap

STAGE = "poses"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PosedViews:
    """Keyframes whose cameras are known.

    Attributes:
        keyframes: those that have a camera, in their order, undistorted.
        metric: whether the world is in metres.
        report: JSON-ready: ``poses`` with figures, ``warnings`` with a line where photos are left out;
            empty where nothing had to be recovered.
    """

    keyframes: tuple[Keyframe, ...]
    metric: bool
    report: dict[str, Any] = field(default_factory=dict)


def recover_poses(keyframes: Sequence[Keyframe], config: PosesConfig, progress: Progress) -> PosedViews:
    """Find the cameras of unposed keyframes by structure from motion.

    SIFT features, matched and verified pair by pair, go through COLMAP's incremental mapper. Focal
    lengths are refined unless they are calibrated, radial distortion where there are photos enough to
    tell it. z is up. The world is in metres where keyframes have depth that fits the solution; else it
    has no unit, the scene is about ``NOMINAL_DEPTH`` away, and depth is left out.

    Args:
        keyframes: the photos; wider ones are reduced to ``config.image_width``. Poses are not used.
        config: thresholds.
        progress: told about each photo and pair; asked whether to stop.

    Returns:
        The keyframes of the largest part that hangs together, at the size they were matched at.

    Raises:
        GeometryError: the photos do not hang together (the message names those that do not), do not
            show any depth (the camera only turned), or the work was stopped.
    """
    if len(keyframes) < 2:
        raise GeometryError(f"{len(keyframes)} photo without a pose; at least two that overlap are needed")
    views = [reduce(keyframe, config.image_width) for keyframe in keyframes]
    for view in views:
        check_keyframe(view)
    names = [view.name for view in views]
    cameras, worth, camera_of = _cameras(views)
    features = _features(views, config, progress)
    links = _links(features, [cameras[i] for i in camera_of], config, progress)
    check_groups(names, links, config)
    progress.update(STAGE, 0, 0, "solving")
    scenes = solve_with_focal_lengths(cameras, worth, camera_of, features, links, config)
    check_solved(names, links, scenes, config)
    scene = scenes[0]
    check_scene(names, scene, {i: views[i].camera for i in range(len(views))})
    depths = {i: view.depth for i, view in enumerate(views) if view.depth is not None}
    scale = measured_scale(scene, depths)
    settle(scene, scale)
    if scale is None:
        views = [replace(view, depth=None) for view in views]
    return _posed(views, scene, links, len(scenes), metric=scale is not None)


def _cameras(views: Sequence[Keyframe]) -> tuple[list["pycolmap.Camera"], list[Intrinsics], list[int]]:
    """Return the distinct cameras, what the intrinsics of each are worth, and the camera of each view.

    Photos of one size and one focal length were taken by one camera.
    """
    found: dict[tuple[object, ...], int] = {}
    cameras: list[pycolmap.Camera] = []
    camera_of: list[int] = []
    worth: list[Intrinsics] = []
    for view in views:
        matrix, size = view.camera.intrinsics, (view.camera.width, view.camera.height)
        known = view.intrinsics == "calibrated"
        key = (*size, view.intrinsics, *np.round(matrix[(0, 1, 0, 1), (0, 1, 2, 2)], 2))
        if key not in found:
            found[key] = len(cameras)
            camera = colmap_camera(view.camera, 0) if known else _distorted(view.camera)
            camera.camera_id = len(cameras) + 1
            camera.has_prior_focal_length = view.intrinsics != "guessed"
            cameras.append(camera)
            worth.append(view.intrinsics)
        camera_of.append(found[key])
    return cameras, worth, camera_of


def _distorted(camera: Camera) -> "pycolmap.Camera":
    """Return a camera with one focal length and radial distortion, 0 at first."""
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    matrix = camera.intrinsics
    focal = float(np.sqrt(matrix[0, 0] * matrix[1, 1]))
    params = [focal, matrix[0, 2] + HALF_PIXEL, matrix[1, 2] + HALF_PIXEL, 0.0]
    return pycolmap.Camera(model="SIMPLE_RADIAL", width=camera.width, height=camera.height, params=params)


def _features(views: Sequence[Keyframe], config: PosesConfig, progress: Progress) -> list[Features]:
    features: list[Features] = []
    for view in views:
        _stop_if_cancelled(progress)
        features.append(extract_features(view.image, config.max_features, config.contrast))
        progress.update(STAGE, len(features), len(views), f"{len(features[-1])} features")
    return features


def _links(
    features: Sequence[Features],
    cameras: Sequence["pycolmap.Camera"],
    config: PosesConfig,
    progress: Progress,
) -> dict[Pair, Link]:
    links: dict[Pair, Link] = {}
    pairs = candidate_pairs(features, config)
    for done, (i, j) in enumerate(pairs, 1):
        _stop_if_cancelled(progress)
        both = features[i], features[j]
        matches = match(*both, config.max_ratio)
        link = verify(matches, both, (cameras[i], cameras[j]), config.min_matches, config.seed)
        if link is not None:
            links[i, j] = link
        progress.update(STAGE, done, len(pairs), f"{len(links)} pairs connect")
    return links


def _stop_if_cancelled(progress: Progress) -> None:
    if progress.cancelled():
        raise GeometryError("stopped before the cameras were found; there is no map yet")


def _posed(
    views: Sequence[Keyframe],
    scene: "pycolmap.Reconstruction",
    links: Mapping[Pair, Link],
    parts: int,
    metric: bool,
) -> PosedViews:
    images = {int(scene.image(i).name): scene.image(i) for i in scene.reg_image_ids()}
    chosen = sorted(images)
    left_out = [view.name for i, view in enumerate(views) if i not in images]
    warnings = []
    if left_out:
        warnings = [f"{len(left_out)} of {len(views)} photos do not connect: {listed(left_out, 20)}"]
        _log.warning(warnings[0])
    figures = {
        "photos": len(views),
        "registered": len(chosen),
        "left_out": left_out,
        "parts": parts,
        "verified_pairs": len(links),
        "points": scene.num_points3D(),
        "reprojection_error_pixels": round(scene.compute_mean_reprojection_error(), 4),
        "cameras": [
            {"width": c.width, "height": c.height, "focal": c.mean_focal_length(), "params": list(c.params)}
            for c in scene.cameras.values()
        ],
    }
    keyframes = tuple(_view(views[i], images[i], scene) for i in chosen)
    return PosedViews(keyframes, metric, {"poses": figures, "warnings": warnings})


def _view(view: Keyframe, image: "pycolmap.Image", scene: "pycolmap.Reconstruction") -> Keyframe:
    """Return the keyframe with its camera and the range of its points' depths, the distortion undone."""
    solved = image.camera
    centre = solved.principal_point_x - HALF_PIXEL, solved.principal_point_y - HALF_PIXEL
    matrix = np.array(
        [[solved.focal_length_x, 0, centre[0]], [0, solved.focal_length_y, centre[1]], [0, 0, 1]]
    )
    width, height = view.camera.width, view.camera.height
    radial = float(solved.params[3]) if solved.model_name == "SIMPLE_RADIAL" else 0.0
    lens = (radial, 0.0, 0.0, 0.0) if radial else ()
    undistort = Undistorter(CameraModel(matrix, width, height, "polynomial", lens), width, height)
    return replace(
        view,
        image=undistort.image(view.image),
        camera=Camera(matrix, world_from_camera(image.cam_from_world()), width, height),
        depth=None if view.depth is None else undistort.depth(view.depth),
        posed=True,
        intrinsics="calibrated",
        pose_covariance=None,
        depth_range=depth_range(scene, image),
    )
