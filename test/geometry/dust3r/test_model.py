import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reconx_ros.geometry.dust3r.heads import points_and_confidence
from reconx_ros.geometry.dust3r.model import Architecture, Dust3r
from reconx_ros.geometry.dust3r.rope import rotated, turns

_SPEC = importlib.util.spec_from_file_location("dust3r_reference", Path(__file__).with_name("reference.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)


@pytest.mark.parametrize(
    ("head", "sizes"), [("dpt", ((48, 32), (32, 48))), ("linear", ((32, 48), (16, 32)))]
)
def test_the_network_equals_the_equations(
    tiny: Callable[..., Dust3r], head: str, sizes: tuple[tuple[int, int], ...]
) -> None:
    model = tiny(head).double()
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, *size, generator=generator).double() * 2 - 1 for size in sizes]
    encoded = [model.encode(image[None]) for image in images]
    slow = [reference.encode(weights, image.numpy()) for image in images]
    for fast, exact in zip(encoded, slow, strict=True):
        assert np.allclose(fast.tokens[0].numpy(), exact, atol=1e-5)  # the turns are in float32
    grids = [(size[0] // 16, size[1] // 16) for size in sizes]
    tokens = reference.decode(weights, (slow[0], slow[1]), (grids[0][1], grids[1][1]))
    model.downstream_head1.float()
    model.downstream_head2.float()
    output = model(*encoded)
    apply = reference.dpt_head if head == "dpt" else reference.linear_head
    for view in range(2):
        channels = apply(weights, f"downstream_head{view + 1}", tokens[view], grids[view])
        points, confidence = reference.outputs(channels)
        assert np.allclose(output.points[view][0].numpy(), points, rtol=1e-3, atol=2e-4)
        assert np.allclose(output.confidence[view][0].numpy(), confidence, rtol=1e-3)
        assert points.std() > 0.05


@pytest.mark.parametrize(
    ("architecture", "keys", "millions"),
    [(Architecture(), 1009, 571.17), (Architecture(head="linear", resolution=224), 877, 532.34)],
)
def test_the_published_sizes(architecture: Architecture, keys: int, millions: float) -> None:
    with torch.device("meta"):
        model = Dust3r(architecture)
    state = model.state_dict()
    assert len(state) == keys
    assert sum(value.numel() for value in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert shapes["mask_token"] == (1, 1, 768)
    assert shapes["patch_embed.proj.weight"] == (1024, 3, 16, 16)
    assert shapes["decoder_embed.weight"] == (768, 1024)
    for number in (0, 23):
        assert shapes[f"enc_blocks.{number}.attn.qkv.weight"] == (3072, 1024)
        assert shapes[f"enc_blocks.{number}.mlp.fc2.weight"] == (1024, 4096)
    for stem in ("dec_blocks.11", "dec_blocks2.0"):
        for part in ("projq", "projk", "projv", "proj"):
            assert shapes[f"{stem}.cross_attn.{part}.weight"] == (768, 768)
        assert shapes[f"{stem}.norm_y.bias"] == (768,)
    if architecture.head == "linear":
        assert shapes["downstream_head2.proj.weight"] == (1024, 768)
        return
    dpt = "downstream_head2.dpt"
    assert shapes[f"{dpt}.act_postprocess.0.0.weight"] == (96, 1024, 1, 1)
    assert shapes[f"{dpt}.act_postprocess.0.1.weight"] == (96, 96, 4, 4)
    assert shapes[f"{dpt}.act_postprocess.1.1.weight"] == (192, 192, 2, 2)
    assert shapes[f"{dpt}.act_postprocess.2.0.weight"] == (384, 768, 1, 1)
    assert shapes[f"{dpt}.act_postprocess.3.1.weight"] == (768, 768, 3, 3)
    assert shapes[f"{dpt}.scratch.layer_rn.3.weight"] == shapes[f"{dpt}.scratch.layer4_rn.weight"]
    assert f"{dpt}.scratch.layer1_rn.bias" not in shapes
    assert shapes[f"{dpt}.scratch.refinenet4.resConfUnit1.conv2.weight"] == (256, 256, 3, 3)
    assert shapes[f"{dpt}.head.0.weight"] == (128, 256, 3, 3)
    assert shapes[f"{dpt}.head.4.weight"] == (4, 128, 1, 1)


def test_attention_scores_depend_on_where_tokens_are_from_each_other_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(64, generator=generator) for _ in range(2))
    table = turns(9, 7, 64, torch.device("cpu"))
    many = [rotated(x.expand(1, 1, 63, 64), table)[0, 0].view(9, 7, 64) for x in (q, k)]
    score = [(many[0][r, c] * many[1][r + 2, c + 3]).sum() for r, c in ((0, 0), (6, 3), (2, 1))]
    assert torch.allclose(score[0], torch.stack(score), atol=1e-4)
    assert not torch.allclose(score[0], (many[0][0, 0] * many[1][3, 2]).sum(), atol=0.1)


def test_points_near_the_origin_stay_finite() -> None:
    channels = torch.zeros(1, 4, 2, 2)
    channels[0, 0, 0, 0] = 1e-12
    channels[0, 1, 0, 1] = 1.0
    points, confidence = points_and_confidence(channels)
    assert points.isfinite().all()
    assert points[0, 0, 1].tolist() == pytest.approx([0, np.expm1(1), 0])
    assert (confidence == 2).all()


def test_bfloat16_leaves_the_heads_in_float32_and_the_answer_close(tiny: Callable[..., Dust3r]) -> None:
    exact, rough = tiny("linear"), tiny("linear").cast_trunk(torch.bfloat16)
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    outputs = [model(model.encode(image), model.encode(image)) for model in (exact, rough)]
    assert {value.dtype for value in rough.downstream_head1.parameters()} == {torch.float32}
    assert outputs[1].points[0].dtype == torch.float32
    assert rough.dtype == torch.bfloat16
    error = (outputs[0].points[0] - outputs[1].points[0]).norm(dim=-1)
    assert 0 < float(error.median()) < 0.1 * float(outputs[0].points[0].norm(dim=-1).median())
