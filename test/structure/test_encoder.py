"""The structure encoder against its equations, written out with loops in float64."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import erf

from reconx_ros.structure.encoder import EncoderConfig, StructureEncoder
from reconx_ros.structure.farthest import farthest_points, farthest_points_batched
from reconx_ros.structure.point_frame import normalised_from_world, transform

SMALL = EncoderConfig(tokens=7, width=12, heads=3, frequencies=4, expansion=2.0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def clouds(generator: torch.Generator, count: int = 23, batch: int = 2) -> dict[str, torch.Tensor]:
    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    poses = torch.eye(4, dtype=torch.float64).repeat(batch, 1, 1)
    for pose in poses:
        pose[:3, :3] = rotation(random(3))
        pose[:3, 3] = random(3)
    return {
        "points": 4 * random(batch, count, 3) - 1,
        "world_from_camera": poses,
        "color": random(batch, count, 3),
        "confidence": random(batch, count),
    }


def rotation(values: torch.Tensor) -> torch.Tensor:
    skew = torch.zeros(3, 3, dtype=torch.float64)
    skew[0, 1], skew[0, 2], skew[1, 2] = values.tolist()
    return torch.linalg.matrix_exp(skew - skew.T)


def encoder(config: EncoderConfig = SMALL) -> StructureEncoder:
    torch.manual_seed(0)
    return StructureEncoder(config).double()


def linear(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    weight = layer.weight.detach().numpy()
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().numpy()
    return np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in weight]) + bias


def layer_norm(layer: torch.nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    scaled = (x - x.mean()) / math.sqrt(((x - x.mean()) ** 2).mean() + layer.eps)
    return scaled * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def slow_farthest(points: np.ndarray, count: int) -> list[int]:
    away = [np.sum((p - points.mean(axis=0)) ** 2) for p in points]
    chosen = [int(np.argmax(away))]
    while len(chosen) < count:
        away = [min(np.sum((p - points[c]) ** 2) for c in chosen) for p in points]
        chosen.append(int(np.argmax(away)))
    return chosen


def slow_encode(
    net: StructureEncoder, points: np.ndarray, pose: np.ndarray, color: np.ndarray, confidence: np.ndarray
) -> np.ndarray:
    """F(P) of one cloud, one token at a time."""
    config = net.config
    local = np.array([pose[:3, :3].T @ (p - pose[:3, 3]) for p in points])
    local -= local.mean(axis=0)
    local /= 2 * math.sqrt((local**2).sum(axis=1).mean())
    embedded = []
    for p, rgb, c in zip(local, color, confidence, strict=True):
        waves = [wave(2**k * math.pi * x) for wave in (math.sin, math.cos)
                 for x in p for k in range(config.frequencies)]  # fmt: skip
        embedded.append(linear(net.embed, np.array([*waves, *p, *rgb, c])))
    keys = [layer_norm(net.norm_points, e) for e in embedded]
    attention, size = net.attention, config.width // config.heads
    tokens = []
    for query in slow_farthest(local, config.tokens):
        q = linear(attention.to_q, layer_norm(net.norm_queries, embedded[query]))
        mixed = np.zeros(config.width)
        for head in range(config.heads):
            part = slice(head * size, (head + 1) * size)
            logits = [q[part] @ linear(attention.to_k, key)[part] / math.sqrt(size) for key in keys]
            weights = np.exp(logits) / np.exp(logits).sum()
            values = [linear(attention.to_v, key)[part] for key in keys]
            mixed[part] = sum(w * v for w, v in zip(weights, values, strict=True))
        token = embedded[query] + linear(attention.to_out, mixed)
        hidden = linear(net.feed.first, layer_norm(net.norm_feed, token))
        token = token + linear(net.feed.second, hidden * 0.5 * (1 + erf(hidden / math.sqrt(2))))
        tokens.append(token)
    return np.array(tokens)


def test_encoder_equals_its_equations(generator: torch.Generator) -> None:
    given, net = clouds(generator), encoder()
    tokens = net(**given).tokens.detach().numpy()
    for b in range(2):
        pose, points = given["world_from_camera"][b].numpy(), given["points"][b].numpy()
        color, confidence = given["color"][b].numpy(), given["confidence"][b].numpy()
        slow = slow_encode(net, points, pose, color, confidence)
        np.testing.assert_allclose(tokens[b], slow, atol=1e-10)


def test_padding_and_unknown_points_change_nothing(generator: torch.Generator) -> None:
    given, net = clouds(generator, batch=1), encoder()
    alone = net(**given)
    padded = {
        "points": torch.cat([given["points"], torch.full((1, 5, 3), 99.0).double()], dim=1),
        "color": torch.cat([given["color"], torch.full((1, 5, 3), torch.nan).double()], dim=1),
        "confidence": torch.cat([given["confidence"], torch.ones(1, 5).double()], dim=1),
    }
    mask = torch.arange(28)[None] < 23
    torch.testing.assert_close(net(**(given | padded), mask=mask).tokens, alone.tokens)
    padded["points"][:, 23:] = torch.nan
    torch.testing.assert_close(net(**(given | padded)).tokens, alone.tokens)


def test_order_of_points_does_not_matter(generator: torch.Generator) -> None:
    given, net = clouds(generator), encoder()
    order = torch.randperm(23, generator=generator)
    shuffled = {name: value if name == "world_from_camera" else value[:, order]
                for name, value in given.items()}  # fmt: skip
    torch.testing.assert_close(net(**shuffled).tokens, net(**given).tokens)


def test_world_frame_and_unit_do_not_matter(generator: torch.Generator) -> None:
    given, net = clouds(generator), encoder()
    turn, shift, scale = rotation(torch.tensor([0.3, -1.0, 2.0])), torch.tensor([5.0, -7, 1]).double(), 3.7
    moved = dict(given)
    moved["points"] = scale * given["points"] @ turn.T + shift
    moved["world_from_camera"] = given["world_from_camera"].clone()
    moved["world_from_camera"][:, :3, :3] = turn @ given["world_from_camera"][:, :3, :3]
    moved["world_from_camera"][:, :3, 3] = scale * given["world_from_camera"][:, :3, 3] @ turn.T + shift
    here, there = net(**given), net(**moved)
    torch.testing.assert_close(there.tokens, here.tokens)
    torch.testing.assert_close(there.positions, here.positions)


def test_normalised_axes_are_those_of_the_camera() -> None:
    """A point to the right of the camera has x > 0, below y > 0, ahead z > 0, wherever it looks."""
    pose = torch.eye(4).double()[None]
    pose[0, :3, :3] = rotation(torch.tensor([0.5, 0.2, -0.9]))
    axes = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    points = (pose[0, :3, :3] @ axes.T).T[None] + 4
    pose[0, :3, 3] = 1
    frame = normalised_from_world(points, torch.ones(1, 6, dtype=torch.bool), pose)
    torch.testing.assert_close(transform(frame, points)[0], axes / 2)


def test_every_parameter_and_feature_has_a_gradient(generator: torch.Generator) -> None:
    given, net = clouds(generator), encoder()
    given["color"].requires_grad_()
    given["confidence"].requires_grad_()
    net(**given).tokens.square().sum().backward()
    tensors = [*net.parameters(), given["color"], given["confidence"]]
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in tensors)


def test_cloud_without_points_gives_masked_finite_tokens(generator: torch.Generator) -> None:
    given, net = clouds(generator), encoder()
    mask = torch.ones(2, 23, dtype=torch.bool)
    mask[1] = False
    found = net(**given, mask=mask)
    assert found.mask.tolist() == [[True] * 7, [False] * 7]
    assert torch.isfinite(found.tokens).all()


def test_features_are_optional_but_not_silently_left_out(generator: torch.Generator) -> None:
    given = clouds(generator)
    plain = encoder(SMALL.model_copy(update={"color": False, "confidence": False}))
    assert plain(given["points"], given["world_from_camera"]).tokens.shape == (2, 7, 12)
    with pytest.raises(ValueError, match="configured with color"):
        encoder()(given["points"], given["world_from_camera"])


def test_heads_must_divide_width() -> None:
    with pytest.raises(ValidationError, match="width 10 is not a multiple of heads 4"):
        EncoderConfig(width=10, heads=4)


@pytest.mark.parametrize("choose", [farthest_points, farthest_points_batched])
def test_farthest_points_against_loops(choose: object, generator: torch.Generator) -> None:
    points = torch.rand(3, 40, 3, generator=generator, dtype=torch.float64)
    mask = torch.ones(3, 40, dtype=torch.bool)
    mask[1, 25:] = False
    chosen = choose(points, mask, 12)  # type: ignore[operator]
    for b, valid in enumerate((40, 25, 40)):
        assert chosen[b].tolist() == slow_farthest(points[b, :valid].numpy(), 12)


@pytest.mark.parametrize("choose", [farthest_points, farthest_points_batched])
def test_few_points_are_repeated(choose: object) -> None:
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [5, 0, 0]]])
    chosen = choose(points, torch.ones(1, 3, dtype=torch.bool), 5)  # type: ignore[operator]
    assert chosen.tolist() == [[2, 0, 1, 2, 2]]
