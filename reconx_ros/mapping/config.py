"""Configuration of the live map: submaps and what of them stays in memory."""

from pydantic import Field

from reconx_ros.settings import Settings


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
