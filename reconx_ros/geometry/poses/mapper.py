"""Verified matches to cameras: COLMAP's incremental mapper, in memory, the same in every run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from reconx_ros.geometry.colmap import HALF_PIXEL
from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.verify import Link
from reconx_ros.geometry.sparse.features import Features

if TYPE_CHECKING:
    import pycolmap

INITIAL_ANGLE = 4.0
"""Degrees between the rays of the first two photos: a few hand-held photos seldom offer COLMAP's 16."""

LEAST_ANGLE = 0.5
"""Degrees under which a point says nothing about depth."""

LOSS_SCALE = 1.0
"""Pixels from which an error counts less than squared (Cauchy) in the last adjustment."""

LAST_ERROR = 2.0
"""Pixels; observations that are farther off at the end are false. COLMAP's 4 pixels and squared errors
leave enough of them to turn the cameras of four views by 0.8 degrees, against 0.03 this way."""


def solve(
    cameras: Sequence["pycolmap.Camera"],
    camera_of: Sequence[int],
    features: Sequence[Features],
    links: Mapping[tuple[int, int], Link],
    config: PosesConfig,
    fixed: Sequence[bool],
    held: Sequence[bool] = (),
) -> "list[pycolmap.Reconstruction]":
    """Return the scenes that could be solved, most photos first; the image named '3' is photo 3.

    Args:
        cameras: distinct cameras; COLMAP's ids are filled in.
        camera_of: index into ``cameras`` of each photo.
        features: of each photo.
        links: of photos (i, j), i < j.
        config: thresholds.
        fixed: whether the intrinsics of each of ``cameras`` are known and stay.
        held: whether those of each stay until the last adjustment; of none by default.
    """
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    pycolmap.logging.minloglevel = pycolmap.logging.WARNING.value  # not hundreds of lines over the progress
    database = pycolmap.Database.open(":memory:")
    ids = [database.write_camera(camera) for camera in cameras]
    photos = []
    for photo, found in enumerate(features):
        photos.append(
            database.write_image(pycolmap.Image(name=str(photo), camera_id=ids[camera_of[photo]]))
        )
        database.write_keypoints(photos[-1], (found.pixels + HALF_PIXEL).astype(np.float32))
    for (first, second), link in sorted(links.items()):
        database.write_matches(photos[first], photos[second], link.matches.astype(np.uint32))
        database.write_two_view_geometry(photos[first], photos[second], link.geometry)
    options = _options(config, len(features))
    known = {camera for camera, stays in zip(ids, fixed, strict=True) if stays}
    options.constant_cameras = known | {c for c, stays in zip(ids, held, strict=False) if stays}
    options.mapper.constant_cameras = options.constant_cameras
    manager = pycolmap.ReconstructionManager()
    pycolmap.IncrementalPipeline(options, database, manager).run()
    scenes = [manager.get(i) for i in range(manager.size())]
    for scene in scenes:
        _polish(scene, known, options.ba_refine_extra_params)
    return sorted(scenes, key=quality, reverse=True)


def quality(scene: "pycolmap.Reconstruction") -> tuple[int, int]:
    """Return what tells the better of two solutions: photos, then observations that fit."""
    return scene.num_reg_images(), scene.compute_num_observations()


def _polish(scene: "pycolmap.Reconstruction", constant: set[int], distortion: bool) -> None:
    """Adjust all cameras and points with a robust loss, and drop what does not fit, twice."""
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    options = pycolmap.BundleAdjustmentOptions(refine_extra_params=distortion, print_summary=False)
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = LOSS_SCALE
    options.ceres.solver_options.num_threads = 1
    options.ceres.solver_options.function_tolerance = 1e-7  # far below what a pixel error tells
    for _ in range(2):
        config = pycolmap.BundleAdjustmentConfig()
        for image in scene.reg_image_ids():
            config.add_image(image)
        for camera in constant:
            config.set_constant_cam_intrinsics(camera)
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        pycolmap.create_default_bundle_adjuster(options, config, scene).solve()
        pycolmap.ObservationManager(scene).filter_all_points3D(LAST_ERROR, LEAST_ANGLE)
    scene.update_point_3d_errors()


def _options(config: PosesConfig, photos: int) -> "pycolmap.IncrementalPipelineOptions":
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    distortion = photos >= config.refine_distortion
    options = pycolmap.IncrementalPipelineOptions(
        min_num_matches=config.min_matches,
        min_model_size=2,
        random_seed=config.seed,
        num_threads=1,  # sums in another order give other last digits
        extract_colors=False,
        min_focal_length_ratio=0.3,
        max_focal_length_ratio=4.0,
        ba_refine_extra_params=distortion,
    )
    options.mapper.random_seed = options.triangulation.random_seed = config.seed
    options.mapper.init_min_tri_angle = INITIAL_ANGLE
    options.mapper.init_min_num_inliers = 2 * config.min_matches
    options.mapper.abs_pose_min_num_inliers = config.min_matches
    options.mapper.abs_pose_refine_extra_params = distortion
    options.mapper.filter_min_tri_angle = options.triangulation.min_angle = LEAST_ANGLE
    options.triangulation.ignore_two_view_tracks = False
    return options
