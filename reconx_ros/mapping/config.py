"""Configuration of the live map: submaps and what of them stays in memory."""

from pydantic import Field, model_validator

from reconx_ros.settings import Settings

LIVE_VOXELS = 1_000_000
"""Most voxels round the robot: they are made anew with each map, and travel as 16 bytes each."""


class DistanceFieldConfig(Settings):
    """Voxels with distances to obstacles, for motion planners (``mapping/distance_field.py``)."""

    voxel_size: float = Field(0.0, ge=0, description="metres a voxel; 0: no field is made")
    min_confidence: float = Field(0.0, ge=0, le=1, description="points of less confidence are no obstacle")
    least_points: int = Field(1, ge=1, description="observed points that make a voxel occupied")
    max_range: float = Field(5.0, gt=0, description="metres of depth up to which a view frees space")
    live_radius: float = Field(
        0.0,
        ge=0,
        le=20,
        description="metres to each side of the robot that are made while mapping; 0: none",
    )
    live_height: float = Field(1.5, gt=0, le=20, description="metres above and below the camera, likewise")

    @model_validator(mode="after")
    def _fits(self) -> "DistanceFieldConfig":
        if self.live_radius and not self.voxel_size:
            raise ValueError("a distance field round the robot (live_radius) needs a voxel_size above 0")
        if self.live_radius:
            voxels = 8 * self.live_radius**2 * self.live_height / self.voxel_size**3
            if voxels > LIVE_VOXELS:
                raise ValueError(
                    f"{voxels / 1e6:.1f} million voxels round the robot are more than "
                    f"{LIVE_VOXELS / 1e6:g} million; a smaller live_radius or live_height, or a larger "
                    "voxel_size, is needed"
                )
        return self


class MappingConfig(Settings):
    """How the live map is divided, and how much of it is worked on at a time."""

    submap_keyframes: int = Field(12, ge=1, description="most keyframes of a submap, which moves as one")
    submap_radius: float = Field(3.0, gt=0, description="metres from its first camera a submap reaches")
    rejoin_path: float = Field(
        30.0, ge=0, description="metres travelled after which a place gets a new submap: drift grows"
    )
    active_radius: float = Field(
        20.0, gt=0, description="metres; a submap farther than this rests on disk until the robot is back"
    )
    max_active: int = Field(
        16, ge=1, description="most submaps in memory; the farthest rests on disk where there are more"
    )
    far_voxel: float = Field(
        0.05, gt=0, description="metres between the points that are still published of a submap at rest"
    )
    far_points: int = Field(
        500_000, ge=0, description="most such points, of the nearest submaps; 0: only what is in memory"
    )
    distance_field: DistanceFieldConfig = DistanceFieldConfig()
