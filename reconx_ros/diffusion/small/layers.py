"""Layers of the U-Net: residual blocks told the time, guided attention, attention over time."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm x)) scaled and shifted by the time))), the last conv 0 at first."""

    def __init__(self, channels: int, time_width: int) -> None:
        """Create the block; the count of channels stays."""
        super().__init__()
        convolution = nn.Conv2d(channels, channels, 3, 1, 1)
        self.first = nn.Sequential(nn.GroupNorm(8, channels), nn.SiLU(), convolution)
        self.time = nn.Linear(time_width, 2 * channels)
        self.norm = nn.GroupNorm(8, channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        zeroed(self.second, self.time)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map x [N, C, H, W] given ``time`` [N, T]."""
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        hidden = self.norm(self.first(x)) * (1 + scale) + shift
        return x + self.second(silu(hidden))  # type: ignore[no-any-return]


class GuidedAttention(nn.Module):
    """The paper's spatial attention, F_out = A(Q, K_g, V_g) + tanh(λ) A(Q, K_F, V_F).

    K_g, V_g come from the references (and, where ``own``, from the frame itself: text-free reference
    attention), K_F, V_F from the structure tokens. λ starts at 0, so that the structure branch starts
    as the identity. Queries know where in space their pixel probably lies.
    """

    def __init__(self, channels: int, token_width: int, heads: int, own: bool) -> None:
        """Create the layer; ``channels`` is a multiple of ``heads``."""
        super().__init__()
        self.heads, self.own = heads, own
        self.norm = nn.GroupNorm(8, channels)
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_kv = nn.Linear(token_width, 2 * channels, bias=False)
        self.to_kv_own = nn.Linear(channels, 2 * channels, bias=False) if own else None
        self.to_kv_structure = nn.Linear(token_width, 2 * channels, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))
        self.to_out = nn.Linear(channels, channels)
        zeroed(self.to_out)

    def forward(
        self,
        x: Tensor,
        place: Tensor,
        references: Tensor,
        structure: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Attend from each pixel of x.

        Args:
            x: [N, C, H, W].
            place: [N, H·W, C] embedded positions of the pixels.
            references: [N, T, token_width].
            structure: [N, S, token_width], ``None`` to leave the branch out.
            mask: [N, S] bool, false for structure tokens that say nothing.
        """
        hidden = self.norm(x).flatten(2).transpose(1, 2) + place
        q, keys = self._split(self.to_q(hidden)), self.to_kv(references)
        if self.to_kv_own is not None:
            keys = torch.cat([keys, self.to_kv_own(hidden)], 1)
        found = self._attend(q, keys, None)
        if structure is not None:
            guided = self._attend(q, self.to_kv_structure(structure), mask)
            found = found + self.gate.tanh() * guided.nan_to_num()
        out = self.to_out(found.transpose(1, 2).flatten(2))
        return x + out.transpose(1, 2).reshape(x.shape)  # type: ignore[no-any-return]

    def _attend(self, q: Tensor, keys_values: Tensor, mask: Tensor | None) -> Tensor:
        k, v = (self._split(part) for part in keys_values.chunk(2, -1))
        return scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None, None, :])

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class TemporalAttention(nn.Module):
    """Attention between the frames of a clip, pixel by pixel; the identity for one frame and at first."""

    def __init__(self, channels: int, heads: int) -> None:
        """Create the layer; ``channels`` is a multiple of ``heads``."""
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        zeroed(self.to_out)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Map x [B·F, C, H, W] of clips of ``frames`` F frames in order."""
        if frames == 1:
            return x
        height, width = x.shape[-2:]
        rows = self.norm(x).view(-1, frames, x.shape[1], height * width).permute(0, 3, 1, 2).flatten(0, 1)
        rows = rows + sinusoids(torch.arange(frames, device=x.device) / 8, x.shape[1]).to(rows.dtype)
        q, k, v = (
            part.view(*part.shape[:2], self.heads, -1).transpose(1, 2)
            for part in self.to_qkv(rows).chunk(3, -1)
        )
        out = self.to_out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        back = out.view(-1, height * width, frames, x.shape[1]).permute(0, 2, 3, 1)
        return x + back.reshape(x.shape)  # type: ignore[no-any-return]


def sinusoids(time: Tensor, width: int) -> Tensor:
    """Return [N, width] sines and cosines of times [N], 1 to 1/1000 of a turn apart."""
    rate = torch.exp(torch.linspace(0.0, -math.log(1000.0), width // 2, device=time.device))
    angle = 1000.0 * time.float()[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1)


def zeroed(*layers: nn.Conv2d | nn.Linear) -> None:
    """Set weights and biases to 0: what such a layer adds starts as nothing."""
    for layer in layers:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
