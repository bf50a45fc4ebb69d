"""Configuration of the Gaussian optimiser."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from reconx_ros.settings import Settings


class InitialisationConfig(Settings):
    """What a Gaussian looks like before the first step."""

    scale: float = Field(1.0, gt=0, description="standard deviation per mean distance to the 3 nearest")
    thickness: float = Field(0.2, gt=0, le=1, description="deviation along the normal per deviation across")
    opacity: float = Field(0.6, gt=0, lt=1)


class LearningRates(Settings):
    """Adam's step per parameter at the first step; positions per metre of scene extent."""

    means: float = Field(1e-3, ge=0, description="per unit of scene extent")
    final: float = Field(0.1, gt=0, le=1, description="share of every rate left at the last step")
    scales: float = Field(1.5e-2, ge=0)
    rotations: float = Field(1e-3, ge=0)
    opacities: float = Field(1e-1, ge=0, description="fast: a wrong point must be able to vanish")
    colours: float = Field(2e-2, ge=0, description="SH degree 0")
    harmonics: float = Field(4e-2, ge=0, description="SH degrees above 0")
    exposure: float = Field(1e-2, ge=0, description="gain and bias of a view")


class LimitsConfig(Settings):
    """What no Gaussian may become: a blob, a needle, a speck."""

    max_growth: float = Field(4.0, ge=1, description="largest scale per largest scale at the start")
    max_anisotropy: float = Field(10.0, ge=1, description="largest scale per middle scale: no needles")
    max_needle: float = Field(
        0.02, gt=0, description="length per scene extent from which the thinnest are removed as needles"
    )
    max_scale: float = Field(0.1, gt=0, description="largest scale per scene extent")
    min_scale: float = Field(1e-5, gt=0, description="smallest scale per scene extent")


class RefinementConfig(Settings):
    """Cameras fitted along with the map, on the CPU; deviations are what is expected of their errors."""

    poses: bool = Field(False, description="fit the poses of real views")
    focal: bool = Field(False, description="fit one factor on each focal length of all views")
    rotation_sigma: float = Field(0.5, gt=0, description="degrees")
    translation_sigma: float = Field(0.005, gt=0, description="per scene extent")
    focal_sigma: float = Field(0.01, gt=0, description="relative")
    rate: float = Field(0.1, gt=0, description="deviations a step at the first step")


class SplattingConfig(Settings):
    """Step 4: confidence-aware Gaussian optimisation."""

    rasterizer: Literal["auto", "gsplat", "cpu", "reference"] = "auto"
    steps: int = Field(1000, ge=0, description="optimisation steps of a whole reconstruction")
    max_gaussians: int = Field(200_000, ge=1, description="hard cap, ``generated_room`` left aside")
    sh_degree: int = Field(3, ge=0, le=3, description="highest spherical-harmonics degree")
    sh_degree_few: int = Field(
        1, ge=0, le=3, description="the same with one or two real views, which say little about directions"
    )
    sh_interval: int = Field(10, ge=1, description="steps after which the next SH degree is let in")
    confidence: Literal["uniform", "mean", "log", "raw"] = Field(
        "uniform",
        description="weight of a real pixel: 1, C over the view's mean C, 1 + log C over its mean, C",
    )
    ssim_weight: float = Field(0.2, ge=0, le=1, description="share of D-SSIM beside L1 (paper: 0.2)")
    gradient_weight: float = Field(
        2.0, ge=0, description="weight of the image-gradient term, in place of the paper's LPIPS"
    )
    lpips: Path | None = Field(
        None, description="folder with the weights of LPIPS, which then joins the loss"
    )
    lpips_weight: float = Field(0.5, ge=0, description="weight of LPIPS where it is used (paper: 0.5)")
    outliers: float = Field(
        8.0,
        ge=0,
        description="a patch that is further off than this many times the view's median pulls less, the "
        "further the less, once a third of the steps are over; 0: all pull alike",
    )
    depth_weight: float = Field(0.2, ge=0, description="weight of the depth term where depth is known")
    coverage_weight: float = Field(
        0.05, ge=0, description="weight of 1 - alpha where depth is known: a seen surface has no holes"
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, description="share of Gaussians left out of a step, reached at the last one"
    )
    exposure: bool = Field(True, description="fit one gain and bias per view and channel")
    new_view_share: float = Field(
        0.5, ge=0, lt=1, description="share of the steps that go to the real views added last, at first"
    )
    guess_stride: int = Field(
        2, ge=0, description="pixels between new Gaussians where a view is not explained; 0 adds none"
    )
    pseudo_views: int = Field(1, ge=0, description="reprojected views between neighbouring real ones")
    pseudo_until: int = Field(6, ge=0, description="most real views with which reprojected ones still help")
    pseudo_weight: float = Field(0.3, ge=0, le=1, description="weight of their most certain pixels")
    generated_share: float = Field(
        0.15, ge=0, le=1, description="largest share of the steps that go to generated views"
    )
    generated_confidence: Literal["pixel", "uniform"] = Field(
        "pixel", description="trust in a generated pixel: what its synthesizer says, or 1 (an ablation)"
    )
    generated_gaussians: bool = Field(
        True, description="start Gaussians where a generated frame shows what no view saw"
    )
    generated_room: float = Field(
        0.25, ge=0, description="Gaussians that these may add beyond ``max_gaussians``, as a share of it"
    )
    generated_weight: float = Field(
        1.0, ge=0, description="weight of a generated pixel of confidence 1 where no view has looked"
    )
    generated_seen: float = Field(
        0.0, ge=0, description="the same where a view has: a share of ``generated_weight``"
    )
    refine: RefinementConfig = RefinementConfig()
    initial: InitialisationConfig = InitialisationConfig()
    rates: LearningRates = LearningRates()
    limits: LimitsConfig = LimitsConfig()
    seed: int = Field(0, ge=0)

    def beside_generated(self) -> "SplattingConfig":
        """Return the settings with Gaussians and steps for what is generated beside those for real views.

        Under one cap and in as many steps, what is imagined would take both from what was seen.
        """
        room = round(self.max_gaussians * (1 + self.generated_room))
        steps = round(self.steps / max(1 - self.generated_share, 0.5))
        return self.model_copy(update={"max_gaussians": room, "steps": steps})
