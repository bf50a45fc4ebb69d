"""A tiny DUSt3R with random weights, and a network that knows the truth of a simulated room."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch

from reconx_ros.geometry.dust3r.model import Architecture, Dust3r
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.simulation.scene import Scene

from .oracle import Oracle

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


@pytest.fixture(autouse=True, scope="module")
def one_thread(one_torch_thread: None) -> None:
    """Every test of this room has it."""


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A furnished room."""
    from reconx_ros.simulation.rooms import room

    return room(0, 0.3, 2)


@pytest.fixture(scope="session")
def views(scene: Scene) -> list[Keyframe]:
    """Six views along a quarter of a walk; the fourth has another size."""
    from reconx_ros.camera import Camera
    from reconx_ros.simulation.film import intrinsics, photograph
    from reconx_ros.simulation.paths import orbit_path
    from reconx_ros.simulation.sensor import SensorNoise

    poses = orbit_path(scene, 24)[:6]
    sizes = [(80, 60)] * 3 + [(60, 80)] + [(80, 60)] * 2
    cameras = [Camera(intrinsics(*size), pose, *size) for pose, size in zip(poses, sizes, strict=True)]
    return [photograph(scene, camera, SensorNoise(), n, n, 0) for n, camera in enumerate(cameras)]


@pytest.fixture
def oracle_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene, Sequence[Keyframe]], Oracle]:
    """Makes the room ask an oracle that knows some views of a scene."""

    def make(scene: Scene, views: Sequence[Keyframe]) -> Oracle:
        known = Oracle(scene, views)
        monkeypatch.setattr("reconx_ros.geometry.dust3r.room.load_predictor", lambda _: known)
        return known

    return make


@pytest.fixture
def oracle(
    scene: Scene, views: list[Keyframe], oracle_of: Callable[[Scene, Sequence[Keyframe]], Oracle]
) -> Oracle:
    """The oracle of ``views``."""
    return oracle_of(scene, views)
