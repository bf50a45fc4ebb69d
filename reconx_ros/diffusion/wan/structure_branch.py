"""The structure branch of Wan-VACE: the encoder F(P) and one structure attention for each block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from reconx_ros.camera import Camera
from reconx_ros.diffusion.wan.structure_attention import Shown, StructureAttention
from reconx_ros.geometry.protocol import PointCloud, map_confidence
from reconx_ros.structure.encoder import EncoderConfig, StructureEncoder, StructureTokens

if TYPE_CHECKING:
    from diffusers import WanVACETransformer3DModel

MOST_POINTS = 32768
"""Points of a cloud that are encoded; a larger one is thinned evenly over its rows."""


class StructureBranch(nn.Module):
    """What is trained beside the frozen model; all that its own weights file holds."""

    def __init__(self, encoder: EncoderConfig, inner_width: int, blocks: int) -> None:
        """Create the branch with random weights and closed gates.

        Args:
            encoder: size of F(P).
            inner_width: of the transformer's queries, all heads.
            blocks: of the transformer.
        """
        super().__init__()
        self.encoder = StructureEncoder(encoder)
        attentions = [StructureAttention(inner_width, encoder.width) for _ in range(blocks)]
        self.attentions = nn.ModuleList(attentions)
        self._shown = Shown()

    @classmethod
    def for_transformer(
        cls, transformer: "WanVACETransformer3DModel", encoder: EncoderConfig
    ) -> "StructureBranch":
        """Create a branch that fits a ``WanVACETransformer3DModel``."""
        return cls(encoder, *transformer_size(transformer))

    def install(self, transformer: "WanVACETransformer3DModel") -> None:
        """Add the structure attention to ``block.attn2`` of every block, before memory hooks are set."""
        for block, attention in zip(transformer.blocks, self._each(), strict=True):
            attention.attach(block.attn2.processor, self._shown)
            block.attn2.set_processor(attention)

    def remove(self, transformer: "WanVACETransformer3DModel") -> None:
        """Put the processors back that ``install`` replaced."""
        for block, attention in zip(transformer.blocks, self._each(), strict=True):
            block.attn2._modules.pop("processor")
            block.attn2.set_processor(attention.before)

    def _each(self) -> list[StructureAttention]:
        return [each for each in self.attentions if isinstance(each, StructureAttention)]

    def encode(self, cloud: PointCloud, first: Camera) -> StructureTokens:
        """Return the tokens of a cloud of at least one point, seen from the first reference ``first``."""
        where = next(self.encoder.parameters())
        rows = np.linspace(0, len(cloud) - 1, min(len(cloud), MOST_POINTS)).astype(np.intp)
        points, color, confidence = (
            torch.from_numpy(np.ascontiguousarray(each[rows]))[None].float().to(where.device)
            for each in (cloud.points, cloud.colors / np.float32(255), map_confidence(cloud.confidence))
        )
        pose = torch.from_numpy(first.world_from_camera)[None].to(where.device)
        tokens: StructureTokens = self.encoder(points, pose, color=color, confidence=confidence)
        return tokens

    @contextmanager
    def showing(self, tokens: Tensor) -> Iterator[None]:
        """Let the installed attentions look at ``tokens`` [1, T, width]; outside the branch is off."""
        self._shown.tokens = tokens
        try:
            yield
        finally:
            self._shown.tokens = None


def transformer_size(transformer: "WanVACETransformer3DModel") -> tuple[int, int]:
    """Return the width of all heads and the number of blocks of a ``WanVACETransformer3DModel``."""
    config = transformer.config
    return int(config.num_attention_heads * config.attention_head_dim), int(config.num_layers)
