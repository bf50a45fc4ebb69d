"""Configuration of features, matching and triangulation."""

from pydantic import Field

from reconx_ros.settings import Settings


class SparseConfig(Settings):
    """SIFT features of posed views, matched, checked against the poses and triangulated."""

    max_features: int = Field(8192, ge=16, description="most features a view, strongest first")
    contrast: float = Field(0.004, gt=0, description="SIFT contrast under which a spot is no feature")
    max_ratio: float = Field(
        0.9, gt=0, le=1, description="distance to the best match over that to the second best (Lowe)"
    )
    max_error: float = Field(
        4.0,
        gt=0,
        description="pixels; a larger reprojection error is no match (odometry is off by 2 to 4 at times)",
    )
    min_angle: float = Field(1.0, gt=0, lt=90, description="degrees between the rays of a point, at least")
    neighbours: int = Field(8, ge=1, description="most views each view is matched with")
