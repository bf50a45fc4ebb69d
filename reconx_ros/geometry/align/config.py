"""Configuration of the global alignment."""

from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings


class AlignmentConfig(Settings):
    """What is known beforehand, and how far the search goes."""

    poses: Literal["soft", "hard", "free"] = Field(
        "soft",
        description="known poses are priors with their covariance (soft), kept as they are (hard; only the "
        "scales of the pairs remain) or ignored (free)",
    )
    position_deviation: float = Field(
        0.02, gt=0, description="metres; of a known pose without covariance, along each axis"
    )
    rotation_deviation: float = Field(
        1.0, gt=0, description="degrees; of a known pose without covariance, about each axis"
    )
    focal_deviation: float = Field(
        0.0, ge=0, description="relative; of calibrated focal lengths, 0 keeps them as they are"
    )
    estimated_focal_deviation: float = Field(
        0.05,
        ge=0,
        description="relative; of focal lengths that were guessed or read from EXIF data, and that the "
        "pointmaps of their views gave",
    )
    samples: int = Field(1024, ge=16, description="pixels of each view that the search looks at")
    independent_samples: float = Field(
        20.0, gt=0, description="independent measurements that a view of one pair is worth"
    )
    refine_rgbd: bool = Field(
        False, description="register RGB-D keyframes with each other and refine their poses before use"
    )
    max_iterations: int = Field(40, ge=1, description="steps of the search at most")
