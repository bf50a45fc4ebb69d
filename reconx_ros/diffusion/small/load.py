"""Shipped weights without diffusers, whose import takes longer than filming."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from reconx_ros.diffusion.small.film import Film
from reconx_ros.diffusion.small.sampling import Scheduler
from reconx_ros.diffusion.small.weights import CLASS, UNREADABLE, load_encoder, load_network
from reconx_ros.errors import SynthesisError

INDEX, PIPELINE = "model_index.json", "ReconxPipeline"


def load_film(folder: Path, device: str = "cpu") -> Film:
    """Return what ``ReconxPipeline.save_pretrained`` wrote to ``folder``, half precision as float32.

    Raises:
        SynthesisError: it holds no such pipeline, or it cannot be read.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        if index[CLASS] != PIPELINE:
            raise SynthesisError(f"{folder} holds a {index[CLASS]}, not a small model of ours")
        network = load_network(folder / "model").to(device)
        told = index.get("structure_encoder", [None])[0] is not None
        encoder = load_encoder(folder / "structure_encoder") if told else None
    except (*UNREADABLE, SynthesisError) as err:
        raise SynthesisError(f"{folder} holds no readable small model: {err}") from err
    return Film(
        network, None if encoder is None else encoder.to(device), scheduler_of(folder / "scheduler")
    )


def scheduler_of(folder: Path | None = None) -> Callable[[], Scheduler]:
    """Return a function that gives a scheduler of diffusers, imported when it is first asked for.

    Args:
        folder: where it was saved; one with diffusers' own settings where not given.
    """

    @cache
    def load() -> Scheduler:
        from diffusers.schedulers.scheduling_flow_match_euler_discrete import (  # noqa: PLC0415
            FlowMatchEulerDiscreteScheduler,
        )

        kind = FlowMatchEulerDiscreteScheduler
        loaded: Scheduler = kind() if folder is None else kind.from_pretrained(folder)
        return loaded

    return load
