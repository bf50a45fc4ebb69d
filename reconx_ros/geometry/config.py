"""Configuration of the geometry room."""

from typing import Literal

from pydantic import Field, field_validator

from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.sparse.config import SparseConfig
from reconx_ros.settings import Settings


class RgbdConfig(Settings):
    """Depth camera: what a measured depth is worth."""

    min_depth: float = Field(0.2, gt=0, description="metres; nearer is unknown")
    max_depth: float = Field(8.0, gt=0, description="metres; farther is unknown")
    noise_at_one_metre: float = Field(
        0.0015, gt=0, description="metres; standard deviation of depth at 1 m, grows with z squared"
    )
    edge_ratio: float = Field(0.05, gt=0, description="relative depth step that counts as an edge")


class PlaneSweepConfig(Settings):
    """Stereo from posed colour images."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where images are matched")
    max_width: int = Field(640, ge=32, description="pixels; wider images are matched at this width")
    neighbours: int = Field(6, ge=1, le=16, description="views each view is matched with, at most")
    planes: int = Field(128, ge=32, le=512, description="inverse-depth planes, at most")
    window: int = Field(7, ge=3, le=15, description="pixels; side of the matching window, odd")
    noise: float = Field(0.004, gt=0, description="grey deviation (of 1) that is no texture")
    best_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="share of the neighbours whose cost counts: others may be hidden",
    )
    least_probability: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="probability of being within 5 percent, under which a match is left out",
    )
    small_step: float = Field(0.15, ge=0, description="cost (1 - NCC) of a step of one plane, P1")
    large_step: float = Field(4.0, ge=0, le=16, description="cost of any other depth step, P2")
    slanted: bool = Field(True, description="fit slanted planes to what the planes of the sweep found")
    pose_rotation: float = Field(
        0.2, ge=0, le=5, description="degrees; standard deviation of metric poses (0: they are exact)"
    )
    pose_translation: float = Field(
        0.01, ge=0, le=0.1, description="the same of positions, per scene depth (0: they are exact)"
    )
    edge: float = Field(0.05, gt=0, description="image step (of 1) that halves the cost of a depth step")

    @field_validator("window")
    @classmethod
    def _odd(cls, window: int) -> int:
        if window % 2 == 0:
            raise ValueError(f"window is {window}; it needs a middle, so {window - 1} or {window + 1}")
        return window


class FusionConfig(Settings):
    """How pointmaps become one cloud."""

    voxel_size: float = Field(0.02, gt=0, description="metres (or world units); duplicates within merge")
    max_points: int = Field(500_000, ge=1, description="hard cap; the least confident leave first")
    min_confidence: float = Field(1.0, ge=1, description="C below which a point is left out")


class GeometryConfig(Settings):
    """Step 1: which geometry, and its settings."""

    method: Literal["auto", "rgbd", "plane-sweep", "sparse", "dust3r"] = "auto"
    rgbd: RgbdConfig = RgbdConfig()
    plane_sweep: PlaneSweepConfig = PlaneSweepConfig()
    sparse: SparseConfig = SparseConfig()
    poses: PosesConfig = PosesConfig()
    dust3r: Dust3rConfig = Dust3rConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    fusion: FusionConfig = FusionConfig()
