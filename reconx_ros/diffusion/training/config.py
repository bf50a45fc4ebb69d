"""Configuration of training."""

from pydantic import Field

from reconx_ros.settings import Settings


class RunConfig(Settings):
    """What every training run has: its length, its rates, its state on disk."""

    steps: int = Field(20_000, ge=1, description="optimiser steps in all")
    batch: int = Field(8, ge=1, description="clips a step")
    frames: int = Field(1, ge=1, description="frames of each clip; above 1 the temporal layers learn")
    learning_rate: float = Field(1e-3, gt=0, description="at its highest")
    warm_up: int = Field(200, ge=0, description="steps until the learning rate is at its highest")
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights")
    seed: int = Field(0, ge=0)
    save_every: int = Field(200, ge=1, description="steps between checkpoints")


class TrainingConfig(RunConfig):
    """How the small model is trained."""

    flow: float = Field(
        0.0, ge=0, le=1, description="share of steps that learn flow matching, not the mean"
    )
    structure: bool = Field(False, description="train the structure encoder and its attention too")
    structure_gate: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="least tanh(λ) the structure attention begins with; at 0 it begins as the identity",
    )
    structure_rate: float = Field(
        1.0, gt=0, description="learning rate of the structure branch, as a multiple of the rest's"
    )
    drop: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of steps without structure, and without references: for guidance",
    )
    widths: tuple[int, ...] = Field((16, 48, 96, 192), description="channels from fine to coarse")
    bf16: bool = Field(True, description="bfloat16 autocast, where the processor has it")
