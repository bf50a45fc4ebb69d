import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from reconx_ros.camera import Camera
from reconx_ros.splatting.confidence import (
    COLOUR_ERROR,
    DEPTH_ERROR,
    Residuals,
    residuals,
    view_evidence,
)
from reconx_ros.splatting.evidence import map_confidences
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

CAMERA = Camera(np.array([[30.0, 0, 15.5], [0, 30.0, 11.5], [0, 0, 1]]), np.eye(4), 32, 24)


def gaussians() -> GaussianMap:
    """One in front, one hidden behind it, one outside the view, one transparent."""
    means = np.float32([[0, 0, 2], [0, 0, 4], [9, 0, 2], [0.5, 0.4, 2]])
    scales = np.full((4, 3), math.log(0.3), np.float32)
    scales[1] = math.log(0.05)
    return GaussianMap(
        means,
        scales,
        np.tile(np.float32([1, 0, 0, 0]), (4, 1)),
        np.float32([9, 9, 9, -9]),
        np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32),
        np.full(4, 0.9, np.float32),
        np.zeros(4, np.uint8),
    )


def flat(colour: float, depth: float) -> Residuals:
    return Residuals(torch.full((24, 32), colour), torch.full((24, 32), depth))


def test_more_evidence_and_surer_points_never_lower_confidence() -> None:
    evidence = np.linspace(0, 20, 50, dtype=np.float32)
    rising = map_confidences(np.full(50, 0.8, np.float32), evidence)
    assert (np.diff(rising) >= 0).all()
    np.testing.assert_allclose(rising[[0, -1]], [0, 0.8**0.3], atol=1e-5)
    shares = map_confidences(np.float32([0.8] * 3), np.float32([1, 2, 3])) / 0.8**0.3
    np.testing.assert_allclose(shares, [7 / 8, 63 / 64, 511 / 512], rtol=1e-6)
    points = np.linspace(0, 1, 20, dtype=np.float32)
    assert (np.diff(map_confidences(points, np.ones(20, np.float32))) > 0).all()


def test_only_what_is_seen_gains_evidence() -> None:
    parameters = GaussianParameters.from_map(gaussians())
    evidence = view_evidence(parameters, CAMERA, flat(0.0, 0.0))
    assert evidence[0] == pytest.approx(1, abs=1e-4)
    assert evidence[1] < 0.2
    assert evidence[2] == 0
    assert evidence[3] == 0


def test_disagreement_lowers_evidence_as_stated() -> None:
    parameters = GaussianParameters.from_map(gaussians())
    evidence = view_evidence(parameters, CAMERA, flat(0.1, 0.05))
    assert evidence[0] == pytest.approx(math.exp(-0.1 / COLOUR_ERROR - 0.05 / DEPTH_ERROR), rel=1e-3)


def test_evidence_leaves_gradients_of_the_map_alone() -> None:
    parameters = GaussianParameters.from_map(gaussians(), requires_grad=True)
    view_evidence(parameters, CAMERA, flat(0.1, 0.0))
    assert all(tensor.grad is None for tensor in parameters.tensors())


def test_perfect_render_has_no_residual_and_unknown_depth_none() -> None:
    parameters = GaussianParameters.from_map(replace(gaussians()))
    render = rasterize(parameters, CAMERA)
    known = torch.where(render.alpha > 0.1, render.depth / render.alpha, torch.nan)
    differences = residuals(render.color, render.color, render.depth, render.alpha, known)
    assert differences.colour.abs().max() == 0
    assert differences.depth.abs().max() < 1e-5
    off = residuals(render.color, render.color + 0.2, render.depth, render.alpha, known * 1.25)
    assert off.colour.mean() == pytest.approx(0.2, rel=1e-4)
    assert off.depth[render.alpha > 0.1].mean() == pytest.approx(0.2, rel=1e-3)
    assert (off.depth[render.alpha <= 0.1] == 0).all()
    assert residuals(render.color, render.color, render.depth, render.alpha, None).depth.max() == 0


def test_what_was_imagined_keeps_what_it_was_given_where_no_view_looks() -> None:
    point, evidence = np.full(4, 0.05, np.float32), np.float32([0, 0, 2, 2])
    generated = np.array([True, False, True, False])
    found = map_confidences(point, evidence, generated)
    np.testing.assert_allclose(found[:2], [0.05, 0])
    assert found[2] == found[3] > 0.3
