"""The paper's structure attention, added to the cross-attention of a Wan transformer block."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

if TYPE_CHECKING:
    from diffusers.models.transformers.transformer_wan import WanAttention


@dataclass(eq=False)
class Shown:
    """What the structure attentions of a transformer look at; the blocks pass nothing on to them.

    Attributes:
        tokens: [1, T, width], ``None`` where the branch is off.
    """

    tokens: Tensor | None = None


class Gate(nn.Module):
    """x → tanh(λ) x, λ = 0 at the start.

    A layer of its own, as all weights of ``StructureAttention`` lie in layers: the hooks that bring weights
    layer by layer would try to move what the layer is called with, which for a processor is the block.
    """

    def __init__(self) -> None:
        """Create the closed gate."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``x``."""
        return self.weight.tanh().to(x.dtype) * x


class StructureAttention(nn.Module):
    """F_out = A(Q, K_g, V_g) + tanh(λ) A(Q, K_F, V_F), then the block's output projection.

    A is softmax(Q Kᵀ / √d) V over heads; Q, K_g and V_g are the block's own. K_F is normalised over all
    heads as Wan normalises its keys. λ starts at 0, where the sum is the block's own result bit for bit.
    The first term is computed by the processor that was there before.
    """

    def __init__(self, inner_width: int, token_width: int, eps: float = 1e-6) -> None:
        """Create ``to_k_s`` and ``to_v_s`` with random weights.

        Args:
            inner_width: of the block's queries, all heads.
            token_width: of the structure tokens.
            eps: of the normalisation of keys.
        """
        super().__init__()
        self.to_k_s = nn.Linear(token_width, inner_width, bias=False)
        self.to_v_s = nn.Linear(token_width, inner_width, bias=False)
        self.norm_k_s = nn.RMSNorm(inner_width, eps=eps)
        self.gate = Gate()
        self._before: Callable[..., Tensor] | None = None
        self._shown = Shown()

    def attach(self, before: Callable[..., Tensor], shown: Shown) -> None:
        """Take the place of the processor ``before``, looking at ``shown``."""
        self._before, self._shown = before, shown

    @property
    def before(self) -> Callable[..., Tensor]:
        """The processor whose place this one took."""
        if self._before is None:
            raise RuntimeError("the structure attention is attached to no block")
        return self._before

    def forward(
        self, attn: "WanAttention", hidden_states: Tensor, *args: object, **kwargs: object
    ) -> Tensor:
        """Attend as diffusers calls a processor; ``attn`` is the block's ``WanAttention``."""
        plain = self.before(attn, hidden_states, *args, **kwargs)
        tokens = self._shown.tokens
        if tokens is None:
            return plain
        q = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, (attn.heads, -1))
        given = tokens.to(q.device, self.to_k_s.weight.dtype)
        k = self.norm_k_s(self.to_k_s(given)).unflatten(2, (attn.heads, -1))
        v = self.to_v_s(given).unflatten(2, (attn.heads, -1))
        q, k, v = (each.transpose(1, 2) for each in (q, k.to(q.dtype), v.to(q.dtype)))
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return plain + _without_bias(attn.to_out[0], self.gate(seen))


def _without_bias(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return W x, rounded at its own size, not at that of the bias.

    Where memory is short, accelerate's hook of the layer brings its weights before and takes them after.
    """
    hook = getattr(layer, "_hf_hook", None)
    if hook is None:
        return linear(x, layer.weight)
    (given,), _ = hook.pre_forward(layer, x)
    result: Tensor = hook.post_forward(layer, linear(given, layer.weight))
    return result
