"""The published pipeline, loaded without its text encoder."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from reconx_ros.diffusion.wan.checkpoint import HELP, first_line
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.errors import SynthesisError
from reconx_ros.machine import ran_out_of_memory

if TYPE_CHECKING:
    from diffusers import SchedulerMixin, WanVACEPipeline

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
SHIFTS = ("flow_shift", "shift")
"""What schedulers call the shift of the noise schedule."""


def located(model: str) -> Path:
    """Return the folder of ``model``, fetched from Hugging Face where it is an id and not yet here.

    Raises:
        SynthesisError: there is no such folder, or it cannot be fetched.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        raise SynthesisError(f"synthesis.wan.model = '{model}' does not exist; {HELP}")
    from diffusers import WanVACEPipeline  # noqa: PLC0415

    try:
        left_out = {"text_encoder": None, "tokenizer": None}
        return Path(WanVACEPipeline.download(model, use_safetensors=True, **left_out))
    except Exception as err:  # no network, no such id, no room: one answer
        raise SynthesisError(
            f"synthesis.wan.model = '{model}' is no folder here and cannot be fetched from Hugging Face "
            f"({type(err).__name__}: {first_line(err)}); {HELP}"
        ) from err


def load_pipeline(folder: Path, config: WanConfig) -> "WanVACEPipeline":
    """Return the pipeline in ``folder`` on the CPU: transformer, VAE and scheduler.

    Raises:
        SynthesisError: it cannot be loaded, or memory runs out. What diffusers would only warn of,
            ``check_folder`` finds before.
    """
    from diffusers import WanVACEPipeline  # noqa: PLC0415

    dtypes = {"transformer": DTYPES[config.dtype], "default": torch.float32}
    try:
        pipeline = WanVACEPipeline.from_pretrained(
            folder, text_encoder=None, tokenizer=None, dtype=dtypes, use_safetensors=True
        )
    except Exception as err:  # diffusers raises nearly anything for a damaged folder
        advice = "there is not enough memory for it" if ran_out_of_memory(err) else HELP
        raise SynthesisError(f"{folder} cannot be loaded ({first_line(err)}); {advice}") from err
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = shifted(pipeline.scheduler, config.flow_shift)
    return pipeline


def shifted(scheduler: "SchedulerMixin", flow_shift: float) -> "SchedulerMixin":
    """Return the scheduler with its noise schedule shifted as asked."""
    names = [name for name in SHIFTS if name in scheduler.config]
    return type(scheduler).from_config(scheduler.config, **dict.fromkeys(names[:1], flow_shift))
