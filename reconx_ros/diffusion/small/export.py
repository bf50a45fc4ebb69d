"""From a training run to a folder that ships: one pipeline in half precision."""

from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.pipeline import ReconxPipeline
from reconx_ros.diffusion.small.points import PointEncoder

VARIANT = "fp16"


def export(model: SmallModel, encoder: PointEncoder | None, output: Path) -> int:
    """Write the pipeline to ``output`` as fp16 safetensors; the models change to half precision.

    Returns:
        Bytes written.
    """
    half = None if encoder is None else encoder.to(torch.float16)
    pipeline = ReconxPipeline(model.to(torch.float16), FlowMatchEulerDiscreteScheduler(), half)
    pipeline.save_pretrained(output, variant=VARIANT)
    return sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
