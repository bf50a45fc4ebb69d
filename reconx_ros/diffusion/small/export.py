"""From a training run to a folder that ships: one pipeline in half precision."""

from dataclasses import asdict
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from reconx_ros.diffusion.small.clouds import PointNetwork
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.network import SmallNetwork
from reconx_ros.diffusion.small.pipeline import ReconxPipeline
from reconx_ros.diffusion.small.points import PointEncoder

VARIANT = "fp16"


def export(model: SmallNetwork, encoder: PointNetwork | None, output: Path) -> int:
    """Write the pipeline to ``output`` as fp16 safetensors.

    Returns:
        Bytes written.
    """
    half = SmallModel(**asdict(model.sizes))  # anew: a loaded one would write down where it came from
    half.load_state_dict(model.state_dict())
    tokens = None
    if encoder is not None:
        tokens = PointEncoder(**asdict(encoder.sizes))
        tokens.load_state_dict(encoder.state_dict())
        nn.Module.to(tokens, torch.float16)  # diffusers' own warns of layers that we have none of
    pipeline = ReconxPipeline(nn.Module.to(half, torch.float16), FlowMatchEulerDiscreteScheduler(), tokens)
    pipeline.save_pretrained(output, variant=VARIANT)
    return sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
