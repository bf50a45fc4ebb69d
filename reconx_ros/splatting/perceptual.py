"""LPIPS (Zhang et al. 2018), the paper's perceptual term, for those who have its weights.

The network is VGG-16 (Simonyan and Zisserman 2015). With f_l(x) the activations after the last convolution
of stage l, scaled to unit length per pixel, and v_l >= 0 the learned weights of channels,

``LPIPS(x, y) = sum_l mean_i v_l . (f_l(x)_i - f_l(y)_i)^2``.

Here each pixel i of a stage is also weighted by the view's weight there, averaged over its cell.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from reconx_ros.errors import SplattingError

VGG_FILE, CHANNELS_FILE = "vgg16-397923af.pth", "vgg.pth"
"""As published by torchvision and by the authors of LPIPS."""

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
SMALLEST = 16
"""Pixels; an image must outlast four halvings."""


class Lpips(nn.Module):
    """The distance of two images; the weights do not learn."""

    def __init__(self) -> None:
        super().__init__()
        stages, before = [], 3
        for widths in STAGES:
            layers: list[nn.Module] = []
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.channels = nn.ParameterList(torch.zeros(widths[-1]) for widths in STAGES)
        self.requires_grad_(False)

    @classmethod
    def load(cls, folder: Path) -> "Lpips":
        """Return the network with the two files of ``folder``.

        Raises:
            SplattingError: a file is missing, cannot be read, or is of another network.
        """
        network = cls()
        _fill(network.stages, _read(folder / VGG_FILE), folder / VGG_FILE)
        published = _read(folder / CHANNELS_FILE)
        for level, values in enumerate(network.channels):
            given = published.get(f"lin{level}.model.1.weight")
            if given is None or given.numel() != values.numel():
                raise SplattingError(f"{folder / CHANNELS_FILE} has no LPIPS weights for VGG stage {level}")
            values.copy_(given.flatten())
        return network

    def forward(self, image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
        """Return the distance of two images [H, W, 3] in [0, 1] with pixel weights [H, W].

        Raises:
            SplattingError: an image is smaller than ``SMALLEST`` pixels.
        """
        if min(weight.shape) < SMALLEST:
            raise SplattingError(f"LPIPS needs images of {SMALLEST} pixels or more, not {weight.shape}")
        x = torch.stack([image, truth]).permute(0, 3, 1, 2) * 2 - 1
        x = (x - x.new_tensor(SHIFT)[:, None, None]) / x.new_tensor(SCALE)[:, None, None]
        cells, total = weight[None, None], x.new_zeros(())
        for level, stage in enumerate(self.stages):
            if level:
                x, cells = functional.max_pool2d(x, 2), functional.avg_pool2d(cells, 2)
            x = stage(x)
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            distance = ((unit[0] - unit[1]).square() * self.channels[level][:, None, None]).sum(dim=0)
            total = total + (distance * cells[0, 0]).mean()
        return total


def _read(file: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise SplattingError(
            f"LPIPS needs {VGG_FILE} and {CHANNELS_FILE} in {file.parent}; {file.name} is not there"
        ) from err
    except Exception as err:  # torch fails in many ways on a damaged file
        raise SplattingError(f"{file} cannot be read as weights: {type(err).__name__}") from err
    if not isinstance(state, dict):
        raise SplattingError(f"{file} holds {type(state).__name__}, not weights by name")
    return state


def _fill(stages: nn.ModuleList, published: dict[str, Tensor], file: Path) -> None:
    """Copy ``features.N.weight`` and ``.bias``; N counts convolutions, ReLUs and the pooling between."""
    number = 0
    for stage in stages:
        for layer in stage:  # type: ignore[attr-defined]
            if isinstance(layer, nn.Conv2d):
                for name, own in (("weight", layer.weight), ("bias", layer.bias)):
                    given = published.get(f"features.{number}.{name}")
                    if given is None or own is None or given.shape != own.shape:
                        raise SplattingError(f"{file} is not VGG-16: features.{number}.{name} does not fit")
                    own.copy_(given)
            number += 1
        number += 1
