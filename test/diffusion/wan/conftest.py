"""The tiny model, saved once."""

from pathlib import Path

import pytest

from reconx_ros.diffusion.wan.synthesizer import WanVaceSynthesizer

from .tiny import config, save_pipeline


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model."""
    where = tmp_path_factory.mktemp("wan")
    save_pipeline(where)
    return where


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompt embeddings of all tests."""
    return tmp_path_factory.mktemp("prompts")


@pytest.fixture(scope="session")
def synthesizer(folder: Path, cache: Path) -> WanVaceSynthesizer:
    """Loaded as a user loads it."""
    return WanVaceSynthesizer.load(config(folder, cache), "cpu")
