"""LPIPS against its definition; random weights of the real sizes, saved as they are published."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.perceptual import CHANNELS_FILE, STAGES, VGG_FILE, Lpips

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
ENDS = (2, 7, 14, 21, 28)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(0)
    here, before, state = tmp_path_factory.mktemp("lpips"), 3, {}
    for number, width in zip(CONVOLUTIONS, [w for stage in STAGES for w in stage], strict=True):
        spread = (2 / (9 * before)) ** 0.5
        state[f"features.{number}.weight"] = spread * torch.randn(width, before, 3, 3, generator=generator)
        state[f"features.{number}.bias"] = 0.01 * torch.randn(width, generator=generator)
        before = width
    torch.save(state, here / VGG_FILE)
    channels = {
        f"lin{level}.model.1.weight": torch.rand(1, stage[-1], 1, 1, generator=generator)
        for level, stage in enumerate(STAGES)
    }
    torch.save(channels, here / CHANNELS_FILE)
    return here


def slow(folder: Path, first: torch.Tensor, second: torch.Tensor) -> float:
    """The definition, layer by layer, with uniform weights."""
    vgg, channels = (torch.load(folder / name) for name in (VGG_FILE, CHANNELS_FILE))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    features = []
    for image in (first, second):
        x, ends = ((image - mean) / deviation).permute(2, 0, 1)[None], []
        for number in range(30):
            if number in (4, 9, 16, 23):
                x = functional.max_pool2d(x, 2)
            elif number in CONVOLUTIONS:
                name = f"features.{number}"
                x = functional.conv2d(x, vgg[f"{name}.weight"], vgg[f"{name}.bias"], padding=1).relu()
                if number in ENDS:
                    ends.append(functional.normalize(x, dim=1))
        features.append(ends)
    return sum(
        float(((a - b).square() * channels[f"lin{level}.model.1.weight"]).sum(1).mean())
        for level, (a, b) in enumerate(zip(*features, strict=True))
    )


def images(height: int = 40, width: int = 36) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(height, width, 3, generator=generator)
    return first, (first + 0.2 * torch.rand(height, width, 3, generator=generator)).clamp(max=1)


def test_it_is_the_published_definition(folder: Path) -> None:
    first, second = images()
    measured = Lpips.load(folder)(first, second, torch.ones(40, 36))
    # the published shift and scale are those of ImageNet, rounded
    assert float(measured) == pytest.approx(slow(folder, first, second), rel=0.02)
    assert float(Lpips.load(folder)(first, first, torch.ones(40, 36))) == 0


def test_pixels_without_weight_do_not_count_and_gradients_reach_the_image(folder: Path) -> None:
    first, second = images(64, 64)
    network = Lpips.load(folder)
    assert float(network(first, second, torch.zeros(64, 64))) == 0
    first.requires_grad_()
    network(first, second, torch.ones(64, 64)).backward()
    assert first.grad is not None
    assert first.grad.isfinite().all()
    assert np.count_nonzero(first.grad.abs().sum(-1)) > 0.9 * 64 * 64


def test_what_is_missing_or_foreign_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SplattingError, match=VGG_FILE):
        Lpips.load(tmp_path)
    (tmp_path / VGG_FILE).write_bytes(b"not weights")
    with pytest.raises(SplattingError, match="cannot be read as weights"):
        Lpips.load(tmp_path)
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / VGG_FILE)
    with pytest.raises(SplattingError, match=r"not VGG-16: features\.0\.weight"):
        Lpips.load(tmp_path)
    (tmp_path / VGG_FILE).write_bytes((folder / VGG_FILE).read_bytes())
    torch.save({"lin0.model.1.weight": torch.zeros(3)}, tmp_path / CHANNELS_FILE)
    with pytest.raises(SplattingError, match="stage 0"):
        Lpips.load(tmp_path)
    with pytest.raises(SplattingError, match="16 pixels"):
        Lpips.load(folder)(*images(8, 8), torch.ones(8, 8))
