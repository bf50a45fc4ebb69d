"""Configuration of sources: which topics, which frames."""

from pydantic import Field

from reconx_ros.settings import Settings


class SourceConfig(Settings):
    """Where colour, depth and pose are found in a recording; empty means: found by type."""

    image_topic: str = ""
    depth_topic: str = ""
    camera_info_topic: str = ""
    depth_camera_info_topic: str = ""
    odom_topic: str = ""
    map_frame: str = Field("map", description="the world; odom is used where it does not exist")
    odom_frame: str = "odom"
    base_frame: str = "base_link"
    slop: float = Field(0.05, ge=0, description="seconds between colour and depth that still match")
    max_pose_gap: float = Field(
        0.5, ge=0, description="seconds between two recorded poses over which is still interpolated"
    )
    require_depth: bool = Field(
        True, description="leave out images without depth where the recording has a depth topic"
    )
    start: float = Field(0.0, ge=0, description="seconds into the recording")
    duration: float | None = Field(None, gt=0, description="seconds to read; all by default")
