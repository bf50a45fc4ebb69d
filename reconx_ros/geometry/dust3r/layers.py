"""Transformer blocks of the encoder and the decoder, named as in the published checkpoints."""

from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from reconx_ros.geometry.dust3r.rope import rotated

HEAD_WIDTH = 64
"""Channels of an attention head, in every published model."""

Table = tuple[Tensor, Tensor]


def layer_norm(width: int) -> nn.LayerNorm:
    """Return the normalisation that every block uses."""
    return nn.LayerNorm(width, eps=1e-6)


class Mlp(nn.Module):
    """fc2(gelu(fc1 x)), with the exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, N, width]."""
        out: Tensor = self.fc2(gelu(self.fc1(x)))
        return out


class Attention(nn.Module):
    """Self-attention with rotary positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, table: Table) -> Tensor:
        """Map x [B, N, width]; ``table`` holds the turns of its N tokens."""
        q, k, v = (_split(part) for part in self.qkv(x).chunk(3, -1))
        seen = scaled_dot_product_attention(rotated(q, table), rotated(k, table), v)
        out: Tensor = self.proj(_join(seen))
        return out


class CrossAttention(nn.Module):
    """Attention from the tokens of one view to those of the other, both with rotary positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projq = nn.Linear(width, width)
        self.projk = nn.Linear(width, width)
        self.projv = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, y: Tensor, table_x: Table, table_y: Table) -> Tensor:
        """Attend from x [B, N, width] to y [B, M, width]."""
        q, k, v = _split(self.projq(x)), _split(self.projk(y)), _split(self.projv(y))
        seen = scaled_dot_product_attention(rotated(q, table_x), rotated(k, table_y), v)
        out: Tensor = self.proj(_join(seen))
        return out


class EncoderBlock(nn.Module):
    """x += attn(norm1 x); x += mlp(norm2 x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width)
        self.norm2 = layer_norm(width)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, table: Table) -> Tensor:
        """Map x [B, N, width]."""
        x = x + self.attn(self.norm1(x), table)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class DecoderBlock(nn.Module):
    """x += attn(norm1 x); x += cross(norm2 x, norm_y y); x += mlp(norm3 x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width)
        self.cross_attn = CrossAttention(width)
        self.norm2 = layer_norm(width)
        self.norm3 = layer_norm(width)
        self.mlp = Mlp(width, hidden)
        self.norm_y = layer_norm(width)

    def forward(self, x: Tensor, y: Tensor, table_x: Table, table_y: Table) -> Tensor:
        """Map x [B, N, width] given the other view's y [B, M, width]."""
        x = x + self.attn(self.norm1(x), table_x)
        x = x + self.cross_attn(self.norm2(x), self.norm_y(y), table_x, table_y)
        out: Tensor = x + self.mlp(self.norm3(x))
        return out


def _split(tokens: Tensor) -> Tensor:
    """[B, N, width] to [B, heads, N, HEAD_WIDTH]."""
    return tokens.reshape(*tokens.shape[:2], -1, HEAD_WIDTH).transpose(1, 2)


def _join(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)
