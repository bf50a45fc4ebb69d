"""The networks on disk, as diffusers lays them out, without diffusers."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from reconx_ros.diffusion.small.clouds import CloudSizes, PointNetwork
from reconx_ros.diffusion.small.network import Sizes, SmallNetwork
from reconx_ros.errors import SynthesisError

CONFIG, FILE = "config.json", "diffusion_pytorch_model.safetensors"
CLASS = "_class_name"
Part = TypeVar("Part", bound=nn.Module)

UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
"""What reading a damaged folder raises."""


def load_network(folder: Path) -> SmallNetwork:
    """Return the network saved in ``folder``, half precision as float32.

    Raises:
        SynthesisError: there is none, or it cannot be read.
    """
    try:
        return _filled(SmallNetwork(Sizes(**_sizes(folder, "SmallModel"))), folder)
    except UNREADABLE as err:
        raise SynthesisError(f"{folder} holds no model of ours: {err}") from err


def load_encoder(folder: Path) -> PointNetwork | None:
    """Return the structure encoder saved in ``folder``, ``None`` where there is no such folder.

    Raises:
        SynthesisError: it cannot be read.
    """
    if not folder.exists():
        return None
    try:
        return _filled(PointNetwork(CloudSizes(**_sizes(folder, "PointEncoder"))), folder)
    except UNREADABLE as err:
        raise SynthesisError(f"{folder} holds no structure encoder of ours: {err}") from err


def save_part(part: SmallNetwork | PointNetwork, folder: Path) -> None:
    """Write a network to ``folder``, made if need be, as its diffusers class reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "SmallModel" if isinstance(part, SmallNetwork) else "PointEncoder"
    config = {CLASS: name, **asdict(part.sizes)}
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tensors = {key: value.detach().cpu().contiguous() for key, value in part.state_dict().items()}
    save_file(tensors, folder / FILE, {"format": "pt"})


def _sizes(folder: Path, name: str) -> dict[str, Any]:
    """Return what the part was created with."""
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
    if config.get(CLASS) != name:
        raise ValueError(f"{CONFIG} is of a {config.get(CLASS)}, not of a {name}")
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _filled(part: Part, folder: Path) -> Part:
    found = sorted(folder.glob("*.safetensors"))
    tensors = load_file(found[0] if found else folder / FILE)
    part.load_state_dict({name: value.float() for name, value in tensors.items()})
    return part.eval()
