"""The paper on one page: keyframes to a confidence-aware Gaussian map, one line a stage."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.synthesis import Studio, references_of
from reconx_ros.geometry.choose import choose_geometry, choose_method
from reconx_ros.geometry.poses.stage import with_poses
from reconx_ros.geometry.protocol import Geometry, GeometryEstimate, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.going_on import first_evidence, first_gaussians, fused_cloud
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.grow import grown, imagined
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import observed_by
from reconx_ros.splatting.reproject import reprojected_views
from reconx_ros.splatting.unfilmed import unfilmed_map
from reconx_ros.splatting.views import generated_views, observed_views
from reconx_ros.stopwatch import Stopwatch
from reconx_ros.structure.plan import plan_trajectory


def reconstruct_keyframes(
    keyframes: Sequence[Keyframe],
    config: ReconxConfig,
    progress: Progress | None = None,
    metric: bool = True,
    start: Reconstruction | None = None,
    geometry: Geometry | None = None,
) -> Reconstruction:
    """Turn keyframes into a map: ReconX, section 3, steps 1 to 4; before them, poses.

    Args:
        keyframes: the views, in time order.
        config: every stage's settings.
        progress: told about each step; asked whether to stop. Stopping gives the map so far.
        metric: whether the cameras' poses are in metres.
        start: a map of the same world to go on from: what it holds stays, what is new is added.
        geometry: the room of step 1; as ``config.geometry`` says where not given.

    Raises:
        ReconxError: these keyframes do not allow a map; one line says why.
    """
    progress, watch = progress or Silent(), Stopwatch()
    posed = with_poses(keyframes, config, metric, progress, watch)  # 0: cameras, where there are none
    with watch.stage("geometry"):  # 1: the global point cloud, with confidence
        reason = "given" if geometry else choose_method(config.geometry, posed.keyframes)[1]
        geometry = geometry or choose_geometry(config.geometry, posed.keyframes, posed.metric)
        estimate = geometry.estimate(posed.keyframes, progress).usable()
        cloud = fused_cloud(start, estimate, config.geometry)
    with watch.stage("structure"):  # 2: the structure condition and the path to film
        unfilmed = partial(unfilmed_map, config=config.splatting, device=config.device)
        studio, references = Studio(config.synthesis, config.device, unfilmed), references_of(estimate)
        plan = studio.plan(references, progress)
        trajectory = plan_trajectory(estimate.keyframes, config.synthesis.frames, cloud, plan)
    with watch.stage("synthesis"):  # 3: structure-guided view synthesis
        so_far = None if start is None else observed_by(start.gaussians, *config.drawing)
        filmed = studio.film(references, cloud, trajectory, progress, so_far)
    with watch.stage("splatting"):  # 4: confidence-aware 3D Gaussian splatting
        optimiser = _optimiser(start, cloud, estimate, filmed.frames, config)
        optimisation = optimiser.run(progress=progress)
        optimiser.prune()
    report = {
        **posed.report,
        "warnings": [*posed.report.get("warnings", []), *estimate.warnings(posed.keyframes)],
        "left_out": sorted({k.name for k in keyframes} - {k.name for k in estimate.keyframes}),
        "geometry": geometry.name,
        "geometry_reason": reason,
        "trajectory": trajectory.json(),
        "synthesizer": filmed.name,
        "synthesis": filmed.report,
        "generated_frames": len(filmed.frames),
        "optimisation": asdict(optimisation),
        "pruned": asdict(optimiser.pruned),
        "seconds": watch.seconds,
        "partial": False,
        "cancelled": progress.cancelled(),
    }
    return Reconstruction(
        optimiser.gaussians(evidence_views=None),
        cloud,
        _fitted(estimate.keyframes, optimiser),
        estimate.metric,
        optimiser.appearance() if start is None else optimiser.appearance().beside(start.appearance),
        report,
        optimiser.evidence(),
    )


def _optimiser(
    start: Reconstruction | None,
    cloud: PointCloud,
    estimate: GeometryEstimate,
    frames: Sequence[GeneratedFrame],
    config: ReconxConfig,
) -> GaussianOptimiser:
    """Return the optimiser with what it starts from, ``start`` or the cloud, and all views it trains on."""
    gaussians = first_gaussians(start, cloud, estimate, config)
    gaussians = grown(gaussians, estimate, config.splatting, config.device)
    gaussians = imagined(gaussians, frames, config.splatting, config.device)
    settings = config.splatting.beside_generated() if frames else config.splatting
    optimiser = GaussianOptimiser(gaussians, settings, config.device, first_evidence(start, gaussians))
    generated = generated_views(frames, config.splatting)
    reprojected = reprojected_views(estimate, config.splatting)
    optimiser.add_views([*observed_views(estimate), *generated, *reprojected])
    optimiser.prune()
    return optimiser


def _fitted(keyframes: Sequence[Keyframe], optimiser: GaussianOptimiser) -> tuple[Keyframe, ...]:
    """Return ``keyframes`` with the cameras that were fitted along with the map (``splatting.refine``).

    The views of posed keyframes are the first ones of the optimiser, in the same order.
    """
    cameras = iter(optimiser.views.cameras)
    return tuple(replace(k, camera=next(cameras)) if k.posed else k for k in keyframes)
