"""The network: a shared encoder, two decoders that look at each other, two heads."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from reconx_ros.geometry.dust3r.heads import DptHead, LinearHead, points_and_confidence
from reconx_ros.geometry.dust3r.layers import HEAD_WIDTH, DecoderBlock, EncoderBlock, layer_norm
from reconx_ros.geometry.dust3r.rope import turns


@dataclass(frozen=True)
class Architecture:
    """The sizes of a model, all of which a checkpoint's tensors tell but ``resolution``.

    Attributes:
        resolution: pixels of the long side (DPT) or of the square (linear) it was trained at.
        head: what makes pixels of tokens.
        patch: pixels of a token's side.
        encoder_width: channels, a multiple of ``HEAD_WIDTH``.
        encoder_depth: blocks.
        encoder_hidden: channels inside its MLPs.
        decoder_width: channels, a multiple of ``HEAD_WIDTH``.
        decoder_depth: blocks.
        decoder_hidden: channels inside its MLPs.
        dpt_dims: channels of the four maps of the DPT head.
        dpt_feature: channels of its fused maps.
        dpt_last: channels before its output.
    """

    resolution: int = 512
    head: Literal["dpt", "linear"] = "dpt"
    patch: int = 16
    encoder_width: int = 1024
    encoder_depth: int = 24
    encoder_hidden: int = 4096
    decoder_width: int = 768
    decoder_depth: int = 12
    decoder_hidden: int = 3072
    dpt_dims: tuple[int, ...] = (96, 192, 384, 768)
    dpt_feature: int = 256
    dpt_last: int = 128


@dataclass(frozen=True, eq=False)
class Encoded:
    """B encoded images of one size.

    Attributes:
        tokens: [B, rows * columns, encoder_width].
        grid: rows and columns of tokens.
    """

    tokens: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PairOutput:
    """What the network says of B pairs; all points are in the camera frames of the first views.

    Attributes:
        points: [B, H, W, 3] float32 of the first views, then of the second, up to one scale a pair.
        confidence: [B, H, W] float32, C > 1, of the first views, then of the second.
    """

    points: tuple[Tensor, Tensor]
    confidence: tuple[Tensor, Tensor]


class Dust3r(nn.Module):
    """DUSt3R (Wang et al. 2024, section 3); its state dict has the keys of the published checkpoints.

    ``encode`` runs once an image, ``decode`` and ``regress`` once a pair. The heads always run in
    float32; everything before them in the type of the weights (``cast_trunk``).
    """

    def __init__(self, architecture: Architecture) -> None:
        """Create the network with random weights."""
        super().__init__()
        a = self.architecture = architecture
        self.mask_token = nn.Parameter(torch.zeros(1, 1, a.decoder_width))  # of pretraining; unused
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, a.encoder_width, a.patch, a.patch)})
        self.enc_blocks = nn.ModuleList(
            EncoderBlock(a.encoder_width, a.encoder_hidden) for _ in range(a.encoder_depth)
        )
        self.enc_norm = layer_norm(a.encoder_width)
        self.decoder_embed = nn.Linear(a.encoder_width, a.decoder_width)
        self.dec_blocks, self.dec_blocks2 = (
            nn.ModuleList(DecoderBlock(a.decoder_width, a.decoder_hidden) for _ in range(a.decoder_depth))
            for _ in range(2)
        )
        self.dec_norm = layer_norm(a.decoder_width)
        self.downstream_head1, self.downstream_head2 = _head(a), _head(a)

    def cast_trunk(self, dtype: torch.dtype) -> "Dust3r":
        """Turn all weights but the heads' to ``dtype``, in place."""
        for name, child in self.named_children():
            if not name.startswith("downstream_head"):
                child.to(dtype)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """The type that encoder and decoder work in."""
        return self.decoder_embed.weight.dtype

    def encode(self, images: Tensor) -> Encoded:
        """Encode ``images`` [B, 3, H, W] in [-1, 1]; H and W are multiples of the patch."""
        maps = self.patch_embed["proj"](images.to(self.dtype))
        rows, columns = maps.shape[-2:]
        table = turns(rows, columns, HEAD_WIDTH, maps.device)
        tokens = maps.flatten(2).transpose(1, 2)
        for block in self.enc_blocks:
            tokens = block(tokens, table)
        return Encoded(self.enc_norm(tokens), (rows, columns))

    def decode(self, first: Encoded, second: Encoded) -> tuple[list[Tensor], list[Tensor]]:
        """Return for each view the encoder's tokens and those of every decoder layer, float32."""
        views = (first, second)
        tables = [turns(*view.grid, HEAD_WIDTH, view.tokens.device) for view in views]
        pair = [self.decoder_embed(view.tokens) for view in views]
        kept = [[view.tokens.float()] for view in views]
        last = len(self.dec_blocks) - 1
        for number, blocks in enumerate(zip(self.dec_blocks, self.dec_blocks2, strict=True)):
            pair = [block(pair[v], pair[1 - v], tables[v], tables[1 - v]) for v, block in enumerate(blocks)]
            for tokens, x in zip(kept, pair, strict=True):
                tokens.append((self.dec_norm(x) if number == last else x).float())
        return kept[0], kept[1]

    def regress(
        self, tokens: tuple[list[Tensor], list[Tensor]], grids: tuple[tuple[int, int], tuple[int, int]]
    ) -> PairOutput:
        """Turn the tokens of ``decode`` into pointmaps."""
        with torch.autocast(tokens[0][0].device.type, enabled=False):
            first = points_and_confidence(self.downstream_head1(tokens[0], grids[0]))
            second = points_and_confidence(self.downstream_head2(tokens[1], grids[1]))
        return PairOutput((first[0], second[0]), (first[1], second[1]))

    def forward(self, first: Encoded, second: Encoded) -> PairOutput:
        """Predict B pairs of encoded views."""
        return self.regress(self.decode(first, second), (first.grid, second.grid))


def _head(a: Architecture) -> nn.Module:
    if a.head == "linear":
        return LinearHead(a.decoder_width, a.patch)
    widths = (a.encoder_width, *(3 * [a.decoder_width]))
    return DptHead(widths, a.dpt_dims, a.dpt_feature, a.dpt_last)
