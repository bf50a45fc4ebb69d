"""Configuration of the Gaussian optimiser."""

from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings


class SplattingConfig(Settings):
    """Step 4: confidence-aware Gaussian optimisation."""

    rasterizer: Literal["auto", "gsplat", "cpu", "reference"] = "auto"
    steps: int = Field(1000, ge=0, description="optimisation steps of a whole reconstruction")
    max_gaussians: int = Field(200_000, ge=1, description="hard cap")
    sh_degree: int = Field(2, ge=0, le=3, description="highest spherical-harmonics degree")
    ssim_weight: float = Field(0.2, ge=0, le=1, description="share of D-SSIM beside L1 (paper: 0.2)")
    depth_weight: float = Field(0.2, ge=0, description="weight of the depth term where depth is known")
    seed: int = Field(0, ge=0)
