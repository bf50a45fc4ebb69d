"""Configuration of view synthesis."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.settings import Settings
from reconx_ros.structure.config import PlanConfig

Method = Literal["auto", "small", "push-pull", "wan-vace", "none"]


class SmallConfig(Settings):
    """The small model that ships with the package, and how it films."""

    weights: Path | None = Field(None, description="folder of another model; the shipped one by default")
    width: int = Field(256, ge=32, description="pixels of a generated frame; never more than a keyframe's")
    references: int = Field(
        4, ge=1, description="keyframes a frame is filmed from, those that show most of it"
    )
    steps: int = Field(1, ge=1, description="1 for the mean; 4 to 10 to draw samples by flow matching")
    samples: int = Field(1, ge=1, description="samples a frame; what they disagree in lowers confidence")
    structure_guidance: float = Field(
        1.0, ge=0, description="strength of the structure tokens; 0 leaves them out"
    )
    reference_guidance: float = Field(1.0, ge=0, description="strength of the reference tokens")
    grounding: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how strongly frames keep to the map so far, where there is one: live, and --resume",
    )
    reach: float = Field(
        0.125,
        gt=0,
        description="share of a frame's width from what the keyframes show that it is filmed from, beyond "
        "which it teaches nothing",
    )
    window: int = Field(8, ge=1, description="frames the model sees at once")
    overlap: int = Field(2, ge=0, description="frames neighbouring windows share")
    seed: int = Field(0, ge=0, description="of the noise")
    bf16: bool = Field(True, description="bfloat16 autocast, where the processor has it")


class TrustConfig(Settings):
    """How much a prior must have shown on this run's own keyframes."""

    keyframes: int = Field(
        4, ge=0, description="keyframes left out one at a time; 0 trusts without looking"
    )
    least_gain: float = Field(
        0.0, description="dB over the push-pull fill in holes from which the model is preferred to it"
    )


class SynthesisConfig(Settings):
    """Step 3: which synthesizer films the unseen parts."""

    method: Method = Field("auto", description="auto measures them on the run's own keyframes")
    frames: int = Field(
        32,
        ge=0,
        description="frames to film in all, with those at keyframes, which are known: half of them where "
        "clips have 2",
    )
    plan: PlanConfig = PlanConfig()
    seconds: float = Field(
        60.0,
        gt=0,
        description="time budget of the contest, at most half of it, and all filming; what is done by then "
        "is used",
    )
    adapt_seconds: float = Field(
        0.0,
        ge=0,
        description="time to train the small model on the run's own keyframes first; 0: not at all",
    )
    live_frames: int = Field(
        16, ge=0, description="most frames filmed at once for a live map, likewise; 0 films none"
    )
    live_seconds: float = Field(8.0, gt=0, description="the same for a live map")
    small: SmallConfig = SmallConfig()
    wan: WanConfig = WanConfig()
    trust: TrustConfig = TrustConfig()

    @field_validator("frames", "live_frames")
    @classmethod
    def _a_clip_has_two_ends(cls, frames: int) -> int:
        if frames == 1:
            raise ValueError("a clip has two ends: 0 or at least 2 frames are needed")
        return frames
