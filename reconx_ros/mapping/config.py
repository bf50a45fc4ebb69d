"""Configuration of the live map: submaps and what of them stays in memory."""

from pydantic import Field

from reconx_ros.settings import Settings


class DistanceFieldConfig(Settings):
    """Voxels with distances to obstacles, for motion planners (``mapping/distance_field.py``)."""

    voxel_size: float = Field(0.0, ge=0, description="metres a voxel; 0: no field is made")
    min_confidence: float = Field(0.0, ge=0, le=1, description="points of less confidence are no obstacle")
    least_points: int = Field(1, ge=1, description="observed points that make a voxel occupied")
    max_range: float = Field(5.0, gt=0, description="metres of depth up to which a view frees space")


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
