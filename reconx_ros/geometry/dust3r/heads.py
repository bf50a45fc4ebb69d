"""From decoder tokens to a pointmap with confidence: the linear head and the DPT head.

Both give four channels a pixel, v in R^3 and x. With d = ‖v‖ the point is v / d · (e^d − 1) and the
confidence C = 1 + e^x (DUSt3R, section 3.3).
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

CHANNELS = 4
DPT_STAGES = 4

Grid = tuple[int, int]


def points_and_confidence(channels: Tensor) -> tuple[Tensor, Tensor]:
    """Turn ``channels`` [B, 4, H, W] into points [B, H, W, 3] and confidence C [B, H, W]."""
    vector = channels[:, :3].movedim(1, -1)
    distance = vector.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    return vector / distance * distance.expm1(), 1 + channels[:, 3].exp()


class LinearHead(nn.Module):
    """One linear layer a token: the four channels of its patch of pixels."""

    def __init__(self, width: int, patch: int) -> None:
        """Create the head for decoder tokens of ``width`` and patches of ``patch`` x ``patch`` pixels."""
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(width, CHANNELS * patch * patch)

    def forward(self, tokens: Sequence[Tensor], grid: Grid) -> Tensor:
        """Map the last of ``tokens`` [B, N, width] of a ``grid`` (rows, columns) to [B, 4, H, W]."""
        flat: Tensor = self.proj(tokens[-1])
        return pixel_shuffle(_map(flat, grid), self.patch)


class DptHead(nn.Module):
    """Dense prediction transformer (Ranftl et al. 2021) on four stages of the decoder."""

    def __init__(self, widths: Sequence[int], dims: Sequence[int], feature: int, last: int) -> None:
        """Create the head.

        Args:
            widths: of the tokens of the four stages.
            dims: channels of the four maps made of them.
            feature: channels of the fused maps.
            last: channels before the output.
        """
        super().__init__()
        self.dpt = _Dpt(widths, dims, feature, last)

    def forward(self, tokens: Sequence[Tensor], grid: Grid) -> Tensor:
        """Map ``tokens`` (encoder's, then each decoder layer's [B, N, width]) to [B, 4, H, W]."""
        depth = len(tokens) - 1
        stages = [tokens[depth * share // 4] for share in (0, 2, 3, 4)]
        maps = [_map(stage, grid) for stage in stages]
        out: Tensor = self.dpt(maps)
        return out


def _map(tokens: Tensor, grid: Grid) -> Tensor:
    """[B, N, width] to [B, width, rows, columns]."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)


class _Dpt(nn.Module):
    def __init__(self, widths: Sequence[int], dims: Sequence[int], feature: int, last: int) -> None:
        super().__init__()
        first, second, third, fourth = (nn.Conv2d(w, d, 1) for w, d in zip(widths, dims, strict=True))
        self.act_postprocess = nn.ModuleList(
            [
                nn.Sequential(first, nn.ConvTranspose2d(dims[0], dims[0], 4, 4)),
                nn.Sequential(second, nn.ConvTranspose2d(dims[1], dims[1], 2, 2)),
                nn.Sequential(third),
                nn.Sequential(fourth, nn.Conv2d(dims[3], dims[3], 3, 2, 1)),
            ]
        )
        self.scratch = _Scratch(dims, feature)
        self.head = nn.Sequential(
            nn.Conv2d(feature, feature // 2, 3, 1, 1),
            _Doubled(),
            nn.Conv2d(feature // 2, last, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(last, CHANNELS, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        sized = [act(each) for act, each in zip(self.act_postprocess, maps, strict=True)]
        out: Tensor = self.head(self.scratch(sized))
        return out


class _Scratch(nn.Module):
    """Fuses the four maps from coarse to fine."""

    def __init__(self, dims: Sequence[int], feature: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(dim, feature, 3, 1, 1, bias=False) for dim in dims]
        for number, layer in enumerate(layers, 1):
            self.add_module(f"layer{number}_rn", layer)
        self.layer_rn = nn.ModuleList(layers)  # the checkpoints name these twice
        for number in range(1, DPT_STAGES + 1):
            self.add_module(f"refinenet{number}", _Fusion(feature))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        layers = [layer(each) for layer, each in zip(self.layer_rn, maps, strict=True)]
        rows, columns = layers[2].shape[-2:]
        # The coarsest map is rounded up to whole pixels, so its double may be one too large.
        path: Tensor = self._fusion(4)(layers[3])[..., :rows, :columns]
        for number in (3, 2, 1):
            path = self._fusion(number)(path, layers[number - 1])
        return path

    def _fusion(self, number: int) -> "_Fusion":
        return cast("_Fusion", self.get_submodule(f"refinenet{number}"))


class _Fusion(nn.Module):
    def __init__(self, feature: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(feature, feature, 1)
        self.resConfUnit1 = _Residual(feature)  # of refinenet4: in the checkpoints, but never used
        self.resConfUnit2 = _Residual(feature)

    def forward(self, path: Tensor, layer: Tensor | None = None) -> Tensor:
        if layer is not None:
            path = path + self.resConfUnit1(layer)
        out: Tensor = self.out_conv(doubled(self.resConfUnit2(path)))
        return out


class _Residual(nn.Module):
    def __init__(self, feature: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feature, feature, 3, 1, 1)
        self.conv2 = nn.Conv2d(feature, feature, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(torch.relu(self.conv1(torch.relu(x))))
        return out


class _Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return doubled(x)


def doubled(x: Tensor) -> Tensor:
    """Return x [B, C, H, W] at twice the size, bilinear, corners on corners."""
    return interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
