"""What a reconstruction is made of, in memory."""

from dataclasses import dataclass, field
from typing import Any

from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A finished (or cancelled, but valid) map.

    Attributes:
        gaussians: the Gaussian map.
        cloud: the global point cloud.
        keyframes: the views it was made of.
        metric: whether the world is in metres.
        appearance: exposures of the views; how a new view would be developed.
        report: JSON-ready figures: seconds by stage, counts, warnings, ``partial``.
        evidence: what the confidence of the Gaussians comes of, for mapping to go on from; ``None`` where
            nobody knows.
    """

    gaussians: GaussianMap
    cloud: PointCloud
    keyframes: tuple[Keyframe, ...]
    metric: bool
    appearance: Appearance = field(default_factory=Appearance.neutral)
    report: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
