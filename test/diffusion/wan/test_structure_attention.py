import pytest
import torch
from diffusers import WanVACETransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from torch import Tensor

from reconx_ros.diffusion.wan.structure_attention import Shown, StructureAttention, _without_bias
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.structure.encoder import EncoderConfig

from .tiny import scene

SMALL = EncoderConfig(tokens=8, width=16, heads=2, frequencies=3)


def slow(attn: WanAttention, added: StructureAttention, x: Tensor, text: Tensor, tokens: Tensor) -> Tensor:
    """F_out = A(Q, K_g, V_g) + tanh(λ) A(Q, K_F, V_F) head by head, then the projection."""

    def rms(values: Tensor, norm: torch.nn.RMSNorm) -> Tensor:
        scale = (values.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
        return values * scale * norm.weight

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads = []
        for part in torch.arange(q.shape[-1]).chunk(attn.heads):
            scores = q[..., part] @ k[..., part].T / len(part) ** 0.5
            heads.append(scores.exp() / scores.exp().sum(-1, keepdim=True) @ v[..., part])
        return torch.cat(heads, -1)

    q = rms(attn.to_q(x[0]), attn.norm_q)
    plain = attend(q, rms(attn.to_k(text[0]), attn.norm_k), attn.to_v(text[0]))
    structure = attend(q, rms(added.to_k_s(tokens[0]), added.norm_k_s), added.to_v_s(tokens[0]))
    return attn.to_out[0](plain + torch.tanh(added.gate.weight) * structure)[None]


@pytest.fixture
def attached() -> tuple[WanAttention, StructureAttention, Shown]:
    torch.manual_seed(0)
    processor = WanAttnProcessor()
    attn = WanAttention(24, heads=2, dim_head=12, cross_attention_dim_head=12, processor=processor).double()
    added, shown = StructureAttention(24, 16).double(), Shown()
    torch.nn.init.uniform_(added.norm_k_s.weight, 0.5, 2)
    torch.nn.init.uniform_(attn.norm_q.weight, 0.5, 2)
    added.attach(attn.processor, shown)
    attn.set_processor(added)
    return attn, added, shown


@torch.no_grad()
def test_equals_the_equation(attached: tuple[WanAttention, StructureAttention, Shown]) -> None:
    attn, added, shown = attached
    x, text, tokens = (torch.randn(1, n, w).double() for n, w in ((10, 24), (7, 24), (5, 16)))
    added.gate.weight.fill_(0.7)
    shown.tokens = tokens
    torch.testing.assert_close(attn(x, text), slow(attn, added, x, text, tokens), rtol=1e-10, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_closed_gate_changes_no_bit(
    attached: tuple[WanAttention, StructureAttention, Shown], dtype: torch.dtype
) -> None:
    attn, _, shown = attached
    attn.to(dtype)
    x, text = torch.randn(1, 10, 24).to(dtype), torch.randn(1, 7, 24).to(dtype)
    plain = attn(x, text)
    shown.tokens = torch.randn(1, 5, 16)
    assert torch.equal(attn(x, text), plain)


@torch.no_grad()
def test_a_small_contribution_is_not_rounded_at_the_size_of_the_bias() -> None:
    """(W x + b) − b in bfloat16 loses what is a thousandth of b."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(24, 24).bfloat16()
    layer.bias.fill_(3.0)
    x = (1e-3 * torch.randn(1, 5, 24)).bfloat16()
    wanted = x.double() @ layer.weight.double().T
    torch.testing.assert_close(_without_bias(layer, x).double(), wanted, rtol=2**-7, atol=1e-6)


def test_a_gradient_opens_the_gate(attached: tuple[WanAttention, StructureAttention, Shown]) -> None:
    attn, added, shown = attached
    shown.tokens = torch.randn(1, 5, 16).double()
    attn(torch.randn(1, 10, 24).double(), torch.randn(1, 7, 24).double()).square().sum().backward()
    assert added.gate.weight.grad is not None
    assert added.gate.weight.grad.abs() > 0


def test_a_branch_is_installed_in_every_block_and_removed() -> None:
    transformer = WanVACETransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=3,
        vace_layers=[0, 2],
        ffn_dim=16,
        text_dim=8,
    )
    before, keys = [block.attn2.processor for block in transformer.blocks], set(transformer.state_dict())
    branch = StructureBranch.for_transformer(transformer, SMALL)
    branch.install(transformer)
    assert [block.attn2.processor for block in transformer.blocks] == list(branch.attentions)
    assert all(isinstance(block.attn2.processor, type(before[0])) for block in transformer.vace_blocks)
    branch.remove(transformer)
    assert [block.attn2.processor for block in transformer.blocks] == before
    assert set(transformer.state_dict()) == keys


def test_tokens_do_not_depend_on_where_the_world_begins() -> None:
    from dataclasses import replace

    references, cloud, _ = scene()
    torch.manual_seed(0)
    branch = StructureBranch(SMALL, 24, 1)
    first = references[0].camera
    turn = torch.linalg.qr(torch.randn(3, 3).double())[0].numpy()
    moved = replace(cloud, points=(cloud.points @ turn.T + [1, 2, 3]).astype("float32"))
    pose = first.world_from_camera.copy()
    pose[:3, :3], pose[:3, 3] = turn @ pose[:3, :3], turn @ pose[:3, 3] + [1, 2, 3]
    here, there = branch.encode(cloud, first), branch.encode(moved, first.moved(pose))
    assert here.tokens.shape == (1, 8, 16)
    torch.testing.assert_close(here.tokens, there.tokens, rtol=1e-3, atol=1e-4)
