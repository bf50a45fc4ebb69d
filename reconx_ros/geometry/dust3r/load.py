"""The network that the configuration asks for, loaded once a process."""

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.dust3r.checkpoint import HELP, load_model
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.dust3r.model import Architecture, PairOutput
from reconx_ros.geometry.dust3r.package import PackageRunner
from reconx_ros.geometry.dust3r.runner import PairRunner

NATIVE_ONLY = ("precision", "batch", "encoded_views")
"""Settings that the package does not know."""


class PairPredictor(Protocol):
    """What predicts pairs: the native network or the package."""

    @property
    def architecture(self) -> Architecture:
        """Sizes; ``resolution``, ``patch`` and ``head`` say how images are prepared."""

    @property
    def place(self) -> str:
        """Where it runs, for messages."""

    def predict(
        self, images: Sequence[NDArray[np.float32]], pairs: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], PairOutput]]:
        """Yield each pair with its prediction (``PairRunner.predict``)."""


@lru_cache(maxsize=1)
def load_predictor(config: Dust3rConfig) -> PairPredictor:
    """Return the network for ``config``; the last one asked for is remembered.

    Raises:
        GeometryError: no weights are given, or they cannot be loaded; CUDA is asked for and not there.
        MissingDependencyError: the package is asked for and not installed.
    """
    if config.weights is None:
        raise GeometryError(f"geometry dust3r needs geometry.dust3r.weights: {HELP}")
    device = _device(config.device)
    if config.implementation == "package":
        _say_what_is_not_used(config)
        return PackageRunner(config.weights, device, config.resolution)
    model = load_model(config.weights, config.resolution)
    return PairRunner(model, device, _dtype(config.precision, device), config.batch, config.encoded_views)


def _say_what_is_not_used(config: Dust3rConfig) -> None:
    """Warn of settings of the native network that somebody changed and the package does not know."""
    defaults = Dust3rConfig.model_fields
    changed = [name for name in NATIVE_ONLY if getattr(config, name) != defaults[name].default]
    if changed:
        named = ", ".join(f"geometry.dust3r.{name} = {getattr(config, name)}" for name in changed)
        warnings.warn(
            f"{named} is for implementation 'native': the dust3r package runs pair by pair in float32",
            RuntimeWarning,
            stacklevel=3,
        )


def _device(asked: str) -> torch.device:
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise GeometryError("geometry.dust3r.device = 'cuda', but torch finds no CUDA device; choose auto")
    return torch.device("cuda" if there and asked != "cpu" else "cpu")


def _dtype(asked: str, device: torch.device) -> torch.dtype:
    if asked != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[asked]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
