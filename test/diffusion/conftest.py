"""Two small clips on disk, and a model small enough to train in a test."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from reconx_ros.camera import Camera
from reconx_ros.diffusion import reliability
from reconx_ros.diffusion.config import SmallConfig
from reconx_ros.diffusion.protocol import Synthesizer
from reconx_ros.diffusion.reliability import Reliability
from reconx_ros.diffusion.small.export import export
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.names import CURVES
from reconx_ros.diffusion.small.points import PointEncoder
from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.records import Example, unpack
from reconx_ros.diffusion.training.shards import ClipStore, prepare
from reconx_ros.diffusion.trust import Trial, left_out, look
from reconx_ros.progress import Progress, Silent
from reconx_ros.simulation.clips import ClipConfig, sample_clip
from reconx_ros.structure.reference import Reference

CLIPS = ClipConfig(size=(48, 64), frames=2, clips=2)
TINY = (8, 16, 16, 16)


@pytest.fixture(autouse=True, scope="module")
def one_thread(one_torch_thread: None) -> None:
    """Every test of this room has it."""


@pytest.fixture(scope="session")
def trial() -> Callable[..., Trial]:
    """The function that lets a contender film up to ``count`` references from the others."""

    def film(
        contender: Synthesizer, references: Sequence[Reference], count: int, progress: Progress
    ) -> Trial:
        found = Trial()
        for number in left_out(len(references), count):
            found.add(number, look(contender, references, number, progress))
        return found

    return film


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    prepare(folder, 1, CLIPS, 60, Silent(), scenes=2)
    return folder


@pytest.fixture(scope="session")
def store(clip_folder: Path) -> ClipStore:
    return ClipStore(clip_folder)


@pytest.fixture(scope="session")
def example(store: ClipStore) -> Example:
    return unpack([store[0], store[1]])


@pytest.fixture
def tiny() -> TrainingConfig:
    return TrainingConfig(steps=4, batch=2, widths=TINY, bf16=False, warm_up=1, save_every=2)


@pytest.fixture(scope="module")
def views() -> list[Reference]:
    """Return the two references and two targets of a procedural clip, in this order."""
    return views_of(2)


@pytest.fixture(scope="module")
def walk() -> list[Reference]:
    """Return seven views of a procedural room."""
    return views_of(5)


def views_of(frames: int) -> list[Reference]:
    """Return the references and the targets of a procedural clip, in this order."""
    clip = sample_clip(60, ClipConfig(size=(48, 64), frames=frames))
    colors = [*clip.color, *clip.target_color]
    depths = [*clip.depth, *clip.target_depth]
    poses = [*clip.world_from_camera, *clip.target_world_from_camera]
    return [
        Reference(
            (255 * color).round().astype(np.uint8),
            depth,
            np.ones_like(depth),
            Camera(clip.intrinsics, pose, 64, 48),
        )
        for color, depth, pose in zip(colors, depths, poses, strict=True)
    ]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny pipeline the way `reconx train export` does."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    model = SmallModel(widths=TINY, structure_width=32)
    for value in model.parameters():
        value.data += 0.05 * torch.randn_like(value)
    export(model, PointEncoder(tokens=16, width=32, heads=2, points=200), folder)
    curve = Reliability((0.0, 1.0), (0.9, 0.1))
    reliability.save({"small": curve, "push-pull": curve}, folder / CURVES)
    return folder


@pytest.fixture
def config(weights: Path) -> SmallConfig:
    return SmallConfig(weights=weights, width=64, bf16=False)
