"""Fitting the model into the memory there is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from reconx_ros.diffusion.wan.checkpoint import first_line
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.errors import MissingDependencyError, SynthesisError
from reconx_ros.machine import ran_out_of_memory

if TYPE_CHECKING:
    from diffusers import WanVACEPipeline

Mode = Literal["none", "offload", "sequential"]

WORKING_BYTES = 480
"""Bytes a pixel of a clip that activations are taken to need (6 GB at 33 × 480 × 832): an estimate."""

GIGA = 2**30


def place(pipeline: "WanVACEPipeline", config: WanConfig, device: str) -> Mode:
    """Put ``pipeline`` on ``device`` in the mode that ``config.memory`` names; return the mode.

    Raises:
        MissingDependencyError: parts are to be offloaded and accelerate is not installed.
    """
    mode = _mode(pipeline, config, device)
    if config.tiling or (config.tiling is None and mode != "none"):
        pipeline.vae.enable_tiling()
    if mode != "none":
        require("accelerate", f"synthesis.wan.memory {mode}")
    if mode == "none":
        pipeline.to(device)
    elif mode == "offload":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)
    return mode


def fitting_mode(weights: int, largest: int, working: int, free: int) -> Mode:
    """Return the fastest mode that fits ``free`` bytes.

    Args:
        weights: bytes of all parts.
        largest: bytes of the largest part.
        working: bytes of activations.
        free: bytes of the GPU.
    """
    if weights + working <= free:
        return "none"
    return "offload" if largest + working <= free else "sequential"


def weight_bytes(module: torch.nn.Module) -> int:
    """Return the bytes of a module's parameters."""
    return sum(each.numel() * each.element_size() for each in module.parameters())


def require(package: str, purpose: str) -> None:
    """Import ``package``.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra that brings it.
    """
    try:
        __import__(package)
    except ImportError as err:
        raise MissingDependencyError(
            f"{purpose} needs the package {package}: pip install 'reconx_ros[wan]'"
        ) from err


@contextmanager
def memory_named(config: WanConfig, mode: str) -> Iterator[None]:
    """Turn running out of memory into an error that says what to change.

    Raises:
        SynthesisError: memory ran out.
    """
    try:
        yield
    except Exception as err:  # torch, numpy and OpenCV have different ones
        if not ran_out_of_memory(err):
            raise
        smaller = {"none": "memory: offload", "offload": "memory: sequential"}.get(mode)
        advice = f"{smaller}, or " if smaller and torch.cuda.is_available() else ""
        raise SynthesisError(
            f"out of memory filming {config.window} frames of {config.pixels} pixels with Wan-VACE "
            f"({first_line(err)}; memory mode {mode}): set synthesis.wan to {advice}fewer pixels or a "
            "smaller window"
        ) from err


def _mode(pipeline: "WanVACEPipeline", config: WanConfig, device: str) -> Mode:
    if not device.startswith("cuda"):
        return "none"
    if config.memory != "auto":
        return config.memory
    parts = [weight_bytes(part) for part in (pipeline.transformer, pipeline.vae)]
    free = torch.cuda.mem_get_info(device)[0]
    return fitting_mode(sum(parts), max(parts), WORKING_BYTES * config.window * config.pixels, free)
