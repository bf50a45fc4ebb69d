"""Configuration of the geometry room."""

from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings


class RgbdConfig(Settings):
    """Depth camera: what a measured depth is worth."""

    min_depth: float = Field(0.2, gt=0, description="metres; nearer is unknown")
    max_depth: float = Field(8.0, gt=0, description="metres; farther is unknown")
    noise_at_one_metre: float = Field(
        0.0015, gt=0, description="metres; standard deviation of depth at 1 m, grows with z squared"
    )
    edge_ratio: float = Field(0.05, gt=0, description="relative depth step that counts as an edge")


class FusionConfig(Settings):
    """How pointmaps become one cloud."""

    voxel_size: float = Field(0.02, gt=0, description="metres (or world units); duplicates within merge")
    max_points: int = Field(500_000, ge=1, description="hard cap; the least confident leave first")
    min_confidence: float = Field(1.0, ge=1, description="C below which a point is left out")


class GeometryConfig(Settings):
    """Step 1: which geometry, and its settings."""

    method: Literal["auto", "rgbd"] = "auto"
    rgbd: RgbdConfig = RgbdConfig()
    fusion: FusionConfig = FusionConfig()
