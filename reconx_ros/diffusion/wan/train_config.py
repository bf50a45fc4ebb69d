"""Configuration of the training of the structure branch."""

from pydantic import Field

from reconx_ros.diffusion.training.config import RunConfig
from reconx_ros.structure.encoder import EncoderConfig


class StructureTrainingConfig(RunConfig):
    """How the structure branch is trained beside a frozen Wan-VACE."""

    steps: int = Field(4000, ge=1, description="optimiser steps in all")
    batch: int = Field(4, ge=1, description="clips a step, one after the other: the gradients are summed")
    frames: int = Field(
        17, ge=1, description="most frames of each clip; the longest 4k + 1 that a clip has is taken"
    )
    learning_rate: float = Field(1e-4, gt=0, description="at its highest")
    gate: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="tanh(λ) to begin with; at 0 it begins as the identity, and what is gated learns only "
        "once the gates have moved",
    )
    reference_images: int = Field(2, ge=0, description="references that are also given as whole images")
    encoder: EncoderConfig = Field(EncoderConfig(), description="size of the structure encoder")
