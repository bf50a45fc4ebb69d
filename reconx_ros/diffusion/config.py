"""Configuration of view synthesis."""

from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings


class SynthesisConfig(Settings):
    """Step 3: which synthesizer films the unseen parts."""

    method: Literal["auto", "none"] = "auto"
    frames: int = Field(16, ge=0, description="frames to film between keyframes")
