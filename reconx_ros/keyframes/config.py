"""Configuration of keyframe selection and matching."""

from pydantic import Field

from reconx_ros.settings import Settings


class KeyframeConfig(Settings):
    """When a frame becomes a keyframe, and how many are kept."""

    min_baseline: float = Field(0.15, ge=0, description="metres moved since the last keyframe")
    min_rotation: float = Field(12.0, ge=0, le=180, description="degrees turned since the last")
    max_overlap: float = Field(
        0.85, ge=0, le=1, description="a frame that shares more of its view with a keyframe is not needed"
    )
    min_sharpness: float = Field(
        0.5, ge=0, description="share of the recent median sharpness under which a frame is blurred"
    )
    capacity: int = Field(64, ge=1, description="most keyframes in the buffer; the most redundant leaves")
    slop: float = Field(0.05, ge=0, description="seconds between colour, depth and pose that still match")
    image_width: int = Field(320, ge=32, description="pixels; wider images are reduced to it")
