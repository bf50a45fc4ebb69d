"""Shared fixtures."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def data_folder(name: str) -> Path:
    """Return a folder of real data, or skip the test where it is not at hand."""
    folder = Path(os.environ.get("RECONX_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.exists():
        pytest.skip(f"real data '{name}' is not at hand (looked in {folder}; set RECONX_DATA)")
    return folder


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """One thread an operation: on a busy machine threads wait for each other longer than they work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def redkitchen_bag() -> Path:
    """The RedKitchen bag with registered depth."""
    return data_folder("redkitchen_bag")


@pytest.fixture(scope="session")
def redkitchen_raw_bag() -> Path:
    """The RedKitchen bag with unregistered depth."""
    return data_folder("redkitchen_raw_bag")


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The function that finds a folder of real data or skips."""
    return data_folder


@pytest.fixture(scope="session")
def small_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated recording: 10 frames of 160x120 once around a furnished room."""
    from reconx_ros.simulation.simulate import simulate

    bag = tmp_path_factory.mktemp("simulated") / "room"
    simulate(bag, frames=10, width=160, height=120)
    return bag
