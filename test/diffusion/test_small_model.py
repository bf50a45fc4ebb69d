"""The small model: shapes, what an untrained one gives, the structure branch, saving and loading."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reconx_ros.diffusion.small.blend import CENTRE, basis, basis_count, blend, cropped
from reconx_ros.diffusion.small.layers import GuidedAttention, TemporalAttention
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.observation import Observation, middle_exposure
from reconx_ros.diffusion.training.inputs import observation_of
from reconx_ros.diffusion.training.records import Example
from reconx_ros.structure.encoder import EncoderConfig, StructureEncoder, StructureTokens
from reconx_ros.structure.exposure import Exposure
from reconx_ros.structure.fills import push_pull


@pytest.fixture(scope="module")
def seen(example: Example) -> Observation:
    return observation_of(example)


@pytest.fixture(scope="module")
def model() -> SmallModel:
    torch.manual_seed(0)
    return trained(SmallModel(widths=(8, 16, 16, 16), structure_width=32))


def trained(model: SmallModel) -> SmallModel:
    """Move every parameter off what it starts as, but the gates."""
    for name, value in model.named_parameters():
        if not name.endswith("gate"):
            value.data += 0.1 * torch.randn_like(value)
    return model.eval()


def tokens_of(example: Example) -> StructureTokens:
    torch.manual_seed(1)
    encoder = StructureEncoder(EncoderConfig(tokens=16, width=32, color=False, confidence=False))
    points = torch.randn(len(example.truth), 50, 3) + torch.tensor([0, 0, 3.0])
    with torch.no_grad():
        return encoder(points, example.reference_pose[:, 0])


def test_a_prediction_has_the_shape_of_the_truth_at_any_size(
    model: SmallModel, example: Example, seen: Observation
) -> None:
    with torch.no_grad():
        done = model(seen)
    assert done.image.shape == example.truth.shape
    assert done.log_variance.shape == (*example.truth.shape[:2], 1, *example.truth.shape[-2:])


def test_fewer_than_twelve_million_parameters_by_default() -> None:
    assert sum(value.numel() for value in SmallModel().parameters()) < 12e6


def test_what_is_untrained_is_close_to_the_push_pull_fill(seen: Observation) -> None:
    with torch.no_grad():
        image = SmallModel(widths=(8, 16, 16, 16))(seen).image
    base = cropped(seen.base, seen.margin)
    assert (image - base).abs().mean() < 0.03


def test_one_weight_of_one_gives_that_fill(seen: Observation) -> None:
    clips, frames = seen.base.shape[:2]
    height, width = cropped(seen.base, seen.margin).shape[-2:]
    fills = list(basis(seen))
    assert len(fills) == basis_count(2)
    for chosen in (0, CENTRE, 13, 28, len(fills) - 1):
        weights = torch.zeros(clips * frames, len(fills), height, width)
        weights[:, chosen] = 1
        torch.testing.assert_close(blend(seen, weights), fills[chosen])
    torch.testing.assert_close(fills[CENTRE], cropped(seen.base, seen.margin).flatten(0, 1))
    # The first tap looks up and left.
    rows, columns = seen.margin
    shifted = seen.base.flatten(0, 1)[..., rows - 1 : rows - 1 + height, columns - 1 : columns - 1 + width]
    torch.testing.assert_close(fills[0], shifted)


def test_the_base_is_what_push_pull_makes_of_the_composite(example: Example, seen: Observation) -> None:
    covered = example.render.shown.amax(2)
    alone = (example.render.shown.sum(2) == 1).expand_as(seen.base)
    bright = example.render.exposed(middle_exposure(example.exposure))
    torch.testing.assert_close(seen.base[alone], bright.color.sum(2)[alone])
    again = push_pull((seen.base * covered).flatten(0, 1), covered.flatten(0, 1))
    torch.testing.assert_close(again.view_as(seen.base), seen.base, atol=1e-5, rtol=0)


def test_the_middle_exposure_lies_between_both() -> None:
    exposure = Exposure(
        torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[0.0], [0.1]]]), torch.ones(1, 2).bool()
    )
    dark = torch.tensor(0.2)
    bright = 2 * dark + 0.1
    middle = middle_exposure(exposure)
    first = middle.gain[0, 0] * bright + middle.bias[0, 0]
    second = middle.gain[0, 1] * dark + middle.bias[0, 1]
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, ((bright + dark) / 2)[None])


def test_covered_pixels_lie_where_the_depth_says(example: Example, seen: Observation) -> None:
    """Back in the target's camera the normalised points fall on their own pixels."""
    inverse = torch.linalg.inv(seen.frame)
    world = torch.einsum("bij,bfjhw->bfihw", inverse[:, :3, :3], seen.points.double())
    world = world + inverse[:, None, :3, 3, None, None]
    pose = torch.linalg.inv(example.target_pose)
    local = torch.einsum("bfij,bfjhw->bfihw", pose[..., :3, :3], world) + pose[..., :3, 3, None, None]
    pixel = torch.einsum("bij,bfjhw->bfihw", example.intrinsics, local)
    pixel = pixel[:, :, :2] / pixel[:, :, 2:]
    height, width = seen.points.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    own = torch.stack([x - seen.margin[1], y - seen.margin[0]]).double()
    torch.testing.assert_close(pixel, own.expand_as(pixel), atol=1e-2, rtol=0)


def test_a_closed_gate_leaves_the_structure_out_to_the_bit(
    model: SmallModel, example: Example, seen: Observation
) -> None:
    tokens = tokens_of(example)
    with torch.no_grad():
        torch.testing.assert_close(model(seen, tokens).image, model(seen).image, atol=0, rtol=0)
        gates = [value for name, value in model.named_parameters() if name.endswith("gate")]
        assert len(gates) == 2
        for gate in gates:
            gate.fill_(1.0)
        opened = model(seen, tokens).image
        empty = model(seen, replace(tokens, mask=torch.zeros_like(tokens.mask))).image
        without = model(seen).image
        for gate in gates:
            gate.fill_(0.0)
    assert (opened - without).abs().max() > 1e-5
    torch.testing.assert_close(empty, without)


def test_guided_attention_is_the_papers_equation() -> None:
    torch.manual_seed(2)
    layer = GuidedAttention(16, 12, 2, own=False)
    for value in layer.parameters():
        torch.nn.init.normal_(value)
    x, place = torch.randn(2, 16, 3, 4), torch.randn(2, 12, 16)
    references, structure = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    q = layer.to_q(layer.norm(x).flatten(2).transpose(1, 2) + place)

    def attended(tokens: Tensor) -> Tensor:
        k, v = tokens.chunk(2, -1)
        heads = [
            torch.softmax(q[..., at] @ k[..., at].mT / 8**0.5, -1) @ v[..., at]
            for at in (slice(0, 8), slice(8, 16))
        ]
        return torch.cat(heads, -1)

    out = attended(layer.to_kv(references))
    out = out + torch.tanh(layer.gate) * attended(layer.to_kv_structure(structure))
    expected = x + layer.to_out(out).mT.reshape(x.shape)
    torch.testing.assert_close(layer(x, place, references, structure), expected, atol=1e-4, rtol=1e-4)


def test_frames_attend_to_each_other_only_in_clips_of_several() -> None:
    torch.manual_seed(3)
    layer = TemporalAttention(16, 2)
    x = torch.randn(6, 16, 2, 2)
    torch.testing.assert_close(layer(x, 3), x)
    for value in layer.parameters():
        torch.nn.init.normal_(value)
    torch.testing.assert_close(layer(x, 1), x, atol=0, rtol=0)
    changed = x.clone()
    changed[2] = torch.randn_like(x[2])
    moved = (layer(changed, 3) - layer(x, 3)).abs().amax((1, 2, 3))
    assert (moved[:3] > 1e-4).all()
    torch.testing.assert_close(moved[3:], torch.zeros(3))


def test_saved_and_loaded_it_is_the_same_model(
    model: SmallModel, seen: Observation, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    again = SmallModel.from_pretrained(tmp_path).eval()
    assert dict(again.config)["widths"] == [8, 16, 16, 16]
    with torch.no_grad():
        torch.testing.assert_close(again(seen).image, model(seen).image, atol=0, rtol=0)
