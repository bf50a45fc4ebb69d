"""The structure encoder on clouds of any size; plain PyTorch (``model.py`` makes it a diffusers model)."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from reconx_ros.structure.encoder import EncoderConfig, StructureEncoder, StructureTokens


@dataclass(frozen=True, eq=False)
class Points:
    """The global point clouds of B clips.

    Attributes:
        points: [B, P, 3] in the world.
        color: [B, P, 3] RGB in [0, 1].
        confidence: [B, P] in [0, 1].
        mask: [B, P] bool, false for padding.
    """

    points: Tensor
    color: Tensor
    confidence: Tensor
    mask: Tensor

    def thinned(self, count: int, generator: Generator | None = None) -> "Points":
        """Return at most ``count`` points of each cloud, drawn at random; those that are real first."""
        if self.points.shape[1] <= count:
            return self
        luck = torch.rand(self.mask.shape, generator=generator).to(self.mask.device)
        rows = (luck + self.mask).topk(count, dim=1).indices
        wide = rows[..., None].expand(-1, -1, 3)
        return Points(
            self.points.gather(1, wide),
            self.color.gather(1, wide),
            self.confidence.gather(1, rows),
            self.mask.gather(1, rows),
        )


@dataclass(frozen=True)
class CloudSizes:
    """Sizes of the encoder.

    Attributes:
        tokens: T for each cloud.
        width: of a token.
        heads: of its attention.
        frequencies: of the Fourier features.
        points: most points of a cloud that are looked at.
    """

    tokens: int = 256
    width: int = 256
    heads: int = 4
    frequencies: int = 8
    points: int = 2048


class PointNetwork(nn.Module):
    """F(P) of the paper (``structure/encoder.py``)."""

    def __init__(self, sizes: CloudSizes) -> None:
        """Create the encoder with random weights."""
        super().__init__()
        self.sizes = sizes
        config = EncoderConfig(
            tokens=sizes.tokens, width=sizes.width, heads=sizes.heads, frequencies=sizes.frequencies
        )
        self.encoder = StructureEncoder(config)

    def forward(
        self, cloud: Points, world_from_camera: Tensor, generator: Generator | None = None
    ) -> StructureTokens:
        """Encode clouds seen from the first reference cameras, ``world_from_camera`` [B, 4, 4]."""
        few = cloud.thinned(self.sizes.points, generator)
        tokens: StructureTokens = self.encoder(
            few.points, world_from_camera, color=few.color, confidence=few.confidence, mask=few.mask
        )
        return tokens
