"""The U-Net of the small model: four resolutions, attention at the two lowest."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from reconx_ros.diffusion.small.layers import GuidedAttention, ResidualBlock, TemporalAttention
from reconx_ros.diffusion.small.observation import shrunk
from reconx_ros.structure.fourier import feature_count, fourier_features

FREQUENCIES = 5


class PlaceEmbedding(nn.Module):
    """Fourier features of positions, and one linear layer."""

    def __init__(self, width: int) -> None:
        """Create the embedding of ``width`` channels."""
        super().__init__()
        self.linear = nn.Linear(feature_count(FREQUENCIES), width)

    def forward(self, points: Tensor) -> Tensor:
        """Embed [N, 3, h, w] or [N, P, 3] as [N, P, width]."""
        listed = points.flatten(2).transpose(1, 2) if points.dim() == 4 else points
        return self.linear(fourier_features(listed.clamp(-3, 3), FREQUENCIES))  # type: ignore[no-any-return]


class ReferenceEncoder(nn.Module):
    """The references as tokens, one for each 8 × 8 pixels, with their place in space."""

    def __init__(self, planes: int, width: int) -> None:
        """Create the encoder of images with ``planes`` channels."""
        super().__init__()
        self.patches = nn.Conv2d(planes, width, 4, 4)
        self.down = nn.Conv2d(width, width, 3, 2, 1)
        self.place = PlaceEmbedding(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, planes: Tensor, points: Tensor) -> Tensor:
        """Encode planes [B, R, C, h, w] at points [B, R, 3, h, w] as [B, T, width]."""
        features = self.down(silu(self.patches(planes.flatten(0, 1))))
        places = self.place(shrunk(points, features))
        tokens = features.flatten(2).transpose(1, 2) + places
        return self.norm(tokens.reshape(len(planes), -1, tokens.shape[-1]))  # type: ignore[no-any-return]


class Level(nn.Module):
    """What happens at one resolution on the way down; on the way up it is a residual block alone."""

    def __init__(self, channels: int, time_width: int, token_width: int, heads: int, own: bool) -> None:
        """Create the level; without attention where ``heads`` is 0."""
        super().__init__()
        self.block = ResidualBlock(channels, time_width)
        self.attention = GuidedAttention(channels, token_width, heads, own) if heads else None
        self.temporal = TemporalAttention(channels, heads) if heads else None
        self.place = PlaceEmbedding(channels) if heads else None

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        points: Tensor,
        tokens: tuple[Tensor, Tensor | None, Tensor | None],
        frames: int,
    ) -> Tensor:
        """Map x [N, C, H, W]; ``points`` [B, F, 3, …], ``tokens`` as ``GuidedAttention`` takes them."""
        x = self.block(x, time)
        if self.attention is not None and self.place is not None and self.temporal is not None:
            x = self.attention(x, self.place(shrunk(points, x)), *tokens)
            x = self.temporal(x, frames)
        return x


class UNet(nn.Module):
    """Full resolution → 1/2 → 1/4 → 1/8 and back, with a full-resolution branch."""

    def __init__(
        self, planes: int, widths: Sequence[int], time_width: int, token_width: int, heads: int
    ) -> None:
        """Create the network for images with ``planes`` channels; ``widths`` from fine to coarse."""
        super().__init__()
        fine, *coarser = widths
        self.stem = nn.Conv2d(planes, fine, 3, 1, 1)
        pairs = list(zip(widths, coarser, strict=False))
        attends = [heads if at >= len(coarser) - 2 else 0 for at in range(len(coarser))]

        def level(at: int, channels: int) -> Level:
            return Level(channels, time_width, token_width, attends[at], at == len(coarser) - 1)

        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairs)
        self.levels_down = nn.ModuleList(level(at, channels) for at, channels in enumerate(coarser))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.levels_up = nn.ModuleList(ResidualBlock(channels, time_width) for channels in coarser[:-1])
        self.merge = nn.Conv2d(fine, fine, 3, 1, 1)
        self.finish = nn.Conv2d(fine, fine, 3, 1, 1)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        points: Tensor,
        tokens: tuple[Tensor, Tensor | None, Tensor | None],
        frames: int,
    ) -> Tensor:
        """Map planes [B·F, C, H, W] to features [B·F, widths[0], H, W]."""
        full = self.stem(x)
        hidden, skips = silu(full), [full]
        for down, level in zip(self.down, self.levels_down, strict=True):
            hidden = level(down(hidden), time, points, tokens, frames)
            skips.append(hidden)
        skips.pop()
        for at in reversed(range(len(self.up))):
            skip = skips.pop()
            hidden = skip + interpolate(self.up[at](hidden), size=skip.shape[-2:], mode="nearest")
            if at > 0:
                hidden = self.levels_up[at - 1](hidden, time)
        hidden = silu(hidden)
        hidden = hidden + self.merge(hidden)
        return silu(self.finish(silu(hidden)))


def repeated(tokens: Tensor, frames: int) -> Tensor:
    """Give every frame of a clip its clip's tokens: [B, T, …] to [B·F, T, …]."""
    return torch.repeat_interleave(tokens, frames, 0)
