"""Cross-attention and feed-forward layers of the structure encoder."""

from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention


class CrossAttention(nn.Module):
    """Multi-head cross-attention: softmax(Q Kᵀ / √d) V, heads side by side, then one linear layer."""

    def __init__(self, width: int, heads: int) -> None:
        """Create the layer; ``width`` is a multiple of ``heads``."""
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.to_out = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Attend from queries [B, T, width] to keys [B, P, width].

        Args:
            queries: what asks.
            keys: what is asked, keys and values alike.
            mask: [B, P] bool, false for keys that must not take part; at least one true for each B.
        """
        q, k, v = (
            self._split(self.to_q(queries)),
            self._split(self.to_k(keys)),
            self._split(self.to_v(keys)),
        )
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        return self.to_out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, tokens: Tensor) -> Tensor:
        """[B, T, width] to [B, heads, T, width / heads]."""
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """W₂ gelu(W₁ x + b₁) + b₂."""

    def __init__(self, width: int, hidden: int) -> None:
        """Create the layer."""
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [..., width] to [..., width]."""
        return self.second(gelu(self.first(tokens)))  # type: ignore[no-any-return]
