"""Configuration of Wan-VACE."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from reconx_ros.settings import Settings

SMALLEST = "Wan-AI/Wan2.1-VACE-1.3B-diffusers"

PROMPT = (
    "A static scene filmed by a slowly moving camera. Photorealistic, sharp, natural light, constant "
    "exposure. Nothing moves but the camera."
)
NEGATIVE_PROMPT = (
    "moving objects, people, text, watermark, blur, flicker, overexposed, cartoon, painting, distorted "
    "geometry, low quality"
)

TIME_STRIDE = 4
"""Frames a latent of the Wan VAE stands for, but for the first, which stands for itself."""


class WanConfig(Settings):
    """Wan-VACE: weights, how it films, and how it fits the memory.

    Steps, guidance and flow shift are those the weights were published with.
    """

    model: str = Field(
        SMALLEST, min_length=1, description="local folder in diffusers' layout, or a Hugging Face id"
    )
    prompt: str = Field(PROMPT, min_length=1, description="what to film; its embedding is kept on disk")
    negative_prompt: str = Field(NEGATIVE_PROMPT, description="what to avoid, where guidance is above 1")
    steps: int = Field(30, ge=1, description="denoising steps")
    guidance: float = Field(
        5.0, ge=0, description="classifier-free guidance of the prompt; up to 1 saves half of the time"
    )
    flow_shift: float = Field(3.0, gt=0, description="shift of the noise schedule: 3 at 480p, 5 at 720p")
    conditioning: float = Field(1.0, ge=0, description="strength of the rendered video")
    pixels: int = Field(
        480 * 832,
        ge=1024,
        description="pixels of a filmed frame, whatever the camera's; sides become multiples of 16. The "
        "1.3B weights were trained at 480 x 832; 320 x 480 is faster and a little less good",
    )
    window: int = Field(33, ge=5, description="frames filmed at once, 4k + 1; 81 is what was trained")
    overlap: int = Field(
        5,
        ge=1,
        description="frames neighbouring windows share: the first handed over, the others blended",
    )
    references: int = Field(4, ge=1, description="views rendered into a clip: those that show most of it")
    reference_images: int = Field(2, ge=0, description="how many of them are also given as whole images")
    samples: int = Field(
        1, ge=1, description="samples of a clip; the first is used, their spread lowers confidence"
    )
    seed: int = Field(0, ge=0, description="of the noise")
    feather: int = Field(
        4,
        ge=0,
        description="pixels over which the render, kept where covered, fades into what is generated",
    )
    structure: Path | None = Field(
        None,
        description="weights of the structure attention (.safetensors); left out where not given",
    )
    structure_guidance: float | None = Field(
        None,
        ge=0,
        description="strength of the structure tokens apart from the prompt's, at a third pass's cost; "
        "as strong as the prompt's where not given; 0 leaves them out",
    )
    dtype: Literal["bf16", "fp16", "fp32"] = Field("bf16", description="of the transformer; the VAE: fp32")
    memory: Literal["auto", "none", "offload", "sequential"] = Field(
        "auto",
        description="none keeps all on the GPU, offload only the part at work, sequential only the layer "
        "at work (slow); auto takes the first that fits. On the CPU it has no meaning",
    )
    tiling: bool | None = Field(
        None, description="encode and decode in tiles, for memory; where not given: unless memory is none"
    )
    cache: Path | None = Field(
        None, description="folder of prompt embeddings; by default in the user's cache folder"
    )

    @model_validator(mode="after")
    def _windows_are_possible(self) -> "WanConfig":
        if self.window % TIME_STRIDE != 1:
            below = (self.window - 1) // TIME_STRIDE * TIME_STRIDE + 1
            raise ValueError(f"window {self.window} is not 4k + 1: take {below} or {below + TIME_STRIDE}")
        if self.overlap >= self.window:
            raise ValueError(f"overlap {self.overlap} leaves a window of {self.window} no new frame")
        return self
