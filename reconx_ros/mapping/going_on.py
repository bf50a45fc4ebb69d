"""A reconstruction that goes on from a map: what it holds stays, what is new is added."""

from reconx_ros.config import ReconxConfig
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.choose import FROM_NEIGHBOURS
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.geometry.fusion import fuse, new_points
from reconx_ros.geometry.protocol import GeometryEstimate, PointCloud
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.initialise import initialise


def fused_cloud(
    start: Reconstruction | None, estimate: GeometryEstimate, config: GeometryConfig
) -> PointCloud:
    """Return the cloud of all views, and of the map to go on from where they say nothing else.

    Raises:
        GeometryError: one of both is in metres, the other is not; a point is too far from the origin.
    """
    if start is None:
        return fuse(estimate, config.fusion)
    if start.metric != estimate.metric:
        units = ("have no unit", "are in metres")
        raise GeometryError(
            f"the poses of the map to go on from {units[start.metric]}, those of these keyframes "
            f"{units[estimate.metric]}; start a new map"
        )
    return fuse(estimate, config.fusion, start.cloud, start.report.get("geometry") in FROM_NEIGHBOURS)


def first_gaussians(
    start: Reconstruction | None, cloud: PointCloud, estimate: GeometryEstimate, config: ReconxConfig
) -> GaussianMap:
    """Return Gaussians of the cloud, or those to go on from with more where the cloud is new.

    Raises:
        SplattingError: there is no point to start from.
    """
    if start is None:
        return initialise(cloud, config.splatting)
    new = cloud.select(new_points(cloud, start.cloud, estimate, config.geometry.fusion))
    if not len(new):
        return start.gaussians
    found = initialise(new, config.splatting).of_degree(start.gaussians.sh_degree)
    return GaussianMap.concatenate(start.gaussians, found)


def first_evidence(start: Reconstruction | None, gaussians: GaussianMap) -> Evidence | None:
    """Return the evidence of ``gaussians``, which begin with ``start``; ``None`` where all are new."""
    if start is None:
        return None
    new = Evidence.of_points(gaussians.confidence[len(start.gaussians) :])
    return Evidence.of_map(start.gaussians.confidence).joined(new)
