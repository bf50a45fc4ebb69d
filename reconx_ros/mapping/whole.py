"""The whole map, of what is in memory and what rests on disk."""

from dataclasses import fields, replace

import numpy as np

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.fusion import CloudFusion
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.mapping.archive import Archive
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.mapping.taken import TakenGaussians
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap


def whole_map(near: Reconstruction, archive: Archive, config: ReconxConfig) -> Reconstruction:
    """Return ``near`` with the submaps of ``archive``, in order of their numbers before it.

    Raises:
        MapError: a submap cannot be read back.
    """
    whole = near
    for number in sorted(archive, reverse=True):
        submap = archive.read(number)
        cloud = CloudFusion(config.geometry.fusion)
        cloud.put(submap.voxels)
        whole = replace(
            whole,
            cloud=_both(cloud.cloud(), whole.cloud),
            keyframes=(*submap.keyframes, *whole.keyframes),
        )
        if submap.taken is not None:
            whole = replace(
                whole,
                gaussians=GaussianMap.concatenate(submap.taken.gaussians, whole.gaussians),
                appearance=whole.appearance.joined(submap.taken.appearance),
                evidence=None if whole.evidence is None else _closed(submap.taken).joined(whole.evidence),
            )
    return whole


def _closed(taken: TakenGaussians) -> Evidence:
    return taken.evidence.closed(np.zeros(len(taken.ids), np.float32))


def _both(first: PointCloud, second: PointCloud) -> PointCloud:
    pairs = ((getattr(first, field.name), getattr(second, field.name)) for field in fields(PointCloud))
    return PointCloud(*(np.concatenate(pair) for pair in pairs))
