"""Two small clips on disk, and a model small enough to train in a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.records import Example, unpack
from reconx_ros.diffusion.training.shards import ClipStore, prepare
from reconx_ros.progress import Silent
from reconx_ros.simulation.clips import ClipConfig

CLIPS = ClipConfig(size=(48, 64), frames=2, clips=2)
TINY = (8, 16, 16, 16)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
