"""Shipped weights without diffusers, whose import takes longer than filming."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from reconx_ros.diffusion.small.clouds import CloudSizes, PointNetwork
from reconx_ros.diffusion.small.film import Film
from reconx_ros.diffusion.small.network import Sizes, SmallNetwork
from reconx_ros.diffusion.small.sampling import Scheduler
from reconx_ros.errors import SynthesisError

Part = TypeVar("Part", bound=nn.Module)
INDEX, PIPELINE = "model_index.json", "ReconxPipeline"
PARTS = {"model": "SmallModel", "structure_encoder": "PointEncoder"}


def load_film(folder: Path, device: str = "cpu") -> Film:
    """Return what ``ReconxPipeline.save_pretrained`` wrote to ``folder``, half precision as float32.

    Raises:
        SynthesisError: it holds no such pipeline, or it cannot be read.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        if index["_class_name"] != PIPELINE:
            raise SynthesisError(f"{folder} holds a {index['_class_name']}, not a small model of ours")
        network = _filled(SmallNetwork(Sizes(**_sizes(folder, "model"))), folder / "model")
        encoder = None
        if index.get("structure_encoder", [None])[0] is not None:
            encoder = PointNetwork(CloudSizes(**_sizes(folder, "structure_encoder")))
            _filled(encoder, folder / "structure_encoder")
            encoder.to(device)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as err:
        raise SynthesisError(f"{folder} holds no readable small model: {err}") from err
    return Film(network.to(device), encoder, _scheduler(folder / "scheduler"))


def _sizes(folder: Path, part: str) -> dict[str, Any]:
    """Return what the part was created with."""
    config: dict[str, Any] = json.loads((folder / part / "config.json").read_text())
    if config.get("_class_name") != PARTS[part]:
        raise SynthesisError(f"{folder / part} holds a {config.get('_class_name')}, not a {PARTS[part]}")
    return {name: value for name, value in config.items() if not name.startswith("_")}


def _filled(part: Part, folder: Path) -> Part:
    (file,) = sorted(folder.glob("*.safetensors"))[:1] or [folder / "diffusion_pytorch_model.safetensors"]
    part.load_state_dict({name: value.float() for name, value in load_file(file).items()})
    return part.eval()


def _scheduler(folder: Path) -> Callable[[], Scheduler]:
    @cache
    def load() -> Scheduler:
        from diffusers.schedulers.scheduling_flow_match_euler_discrete import (  # noqa: PLC0415
            FlowMatchEulerDiscreteScheduler,
        )

        loaded: Scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder)
        return loaded

    return load
