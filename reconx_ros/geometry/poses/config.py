"""Configuration of pose recovery."""

from pydantic import Field

from reconx_ros.settings import Settings


class PosesConfig(Settings):
    """Cameras of photos without poses: SIFT, verified matches, COLMAP's incremental mapper."""

    image_width: int = Field(1024, ge=64, description="pixels; wider photos are matched at this width")
    max_features: int = Field(4096, ge=64, description="most features a photo, largest first")
    contrast: float = Field(0.004, gt=0, description="SIFT contrast under which a spot is no feature")
    max_ratio: float = Field(0.8, gt=0, le=1, description="distance to the best match over the second best")
    min_matches: int = Field(20, ge=8, description="verified matches two photos need to connect")
    exhaustive: int = Field(25, ge=2, description="up to so many photos each is matched with each")
    neighbours: int = Field(12, ge=1, description="partners of a photo in a larger set, most alike first")
    min_share: float = Field(
        0.5, ge=0, lt=1, description="no map where this share of the photos or less is connected"
    )
    refine_distortion: int = Field(
        8, ge=3, description="photos from which radial distortion is estimated; fewer do not determine it"
    )
    seed: int = Field(0, ge=0)
