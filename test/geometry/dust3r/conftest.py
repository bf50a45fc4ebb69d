"""A tiny DUSt3R with random weights."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from reconx_ros.geometry.dust3r.model import Architecture, Dust3r

LINEAR = partial(
    Architecture,
    resolution=64,
    encoder_width=128,
    encoder_depth=2,
    encoder_hidden=192,
    decoder_width=64,
    decoder_depth=4,
    decoder_hidden=96,
)
ARCHITECTURES = {
    "linear": LINEAR(head="linear"),
    "dpt": LINEAR(head="dpt", dpt_dims=(8, 12, 16, 20), dpt_feature=16, dpt_last=8),
}


def make_tiny(head: str = "dpt", seed: int = 0) -> Dust3r:
    torch.manual_seed(seed)
    model = Dust3r(ARCHITECTURES[head])
    with torch.no_grad():  # biases and norms that matter
        for name, value in model.named_parameters():
            if value.ndim == 1:
                value.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Dust3r]:
    """The function that makes a tiny network: ``head`` is 'dpt' or 'linear'."""
    return make_tiny
