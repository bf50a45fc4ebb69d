"""The reference against formulas worked out by hand, quadrature and finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import Recipe, camera, parameters, scene

from reconx_ros.camera import Camera
from reconx_ros.splatting import model, reference
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

SH_0 = 0.28209479177387814


def straight_camera(width: int = 9, height: int = 7, focal: float = 20.0) -> Camera:
    intrinsics = np.array([[focal, 0, 4.0], [0, focal, 3.0], [0, 0, 1.0]])
    return Camera(intrinsics, np.eye(4), width, height)


def round_gaussians(
    depths: list[float], scale: float, opacities: list[float], colors: list[list[float]]
) -> GaussianParameters:
    """Round Gaussians on the optical axis."""
    n = len(depths)
    opacity = np.array(opacities)
    return parameters(
        [
            np.stack([np.zeros(n), np.zeros(n), depths], axis=1),
            np.full((n, 3), np.log(scale)),
            np.tile([0.3, 0.1, -0.5, 0.2], (n, 1)),
            np.log(opacity / (1 - opacity)),
            (np.array(colors)[:, None] - 0.5) / SH_0,
        ],
        torch.float64,
    )


def test_one_gaussian_is_the_formula() -> None:
    view, depth, scale, opacity, color = straight_camera(), 2.0, 0.1, 0.8, [0.2, 0.7, 1.3]
    background = torch.tensor([0.5, 0.25, 0.0], dtype=torch.float64)
    rendered = rasterize(
        round_gaussians([depth], scale, [opacity], [color]),
        view,
        background=background,
        backend="reference",
    )
    y, x = np.mgrid[: view.height, : view.width]
    variance = (20.0 * scale / depth) ** 2 + 0.3
    alpha = opacity * np.exp(-0.5 * ((x - 4) ** 2 + (y - 3) ** 2) / variance)
    alpha[alpha < 1 / 255] = 0
    assert (alpha == 0).any()
    np.testing.assert_allclose(rendered.alpha.detach(), alpha, atol=1e-12)
    np.testing.assert_allclose(rendered.depth.detach(), alpha * depth, atol=1e-12)
    expected = alpha[..., None] * color + (1 - alpha[..., None]) * background.numpy()
    np.testing.assert_allclose(rendered.color.detach(), expected, atol=1e-12)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_gaussian_covers_the_farther(order: list[int]) -> None:
    depths, opacities, colors = [1.0, 3.0], [0.6, 0.9], [[1.0, 0, 0], [0, 1.0, 0]]
    rendered = rasterize(
        round_gaussians(
            [depths[i] for i in order], 0.1, [opacities[i] for i in order], [colors[i] for i in order]
        ),
        straight_camera(),
        backend="reference",
    )
    np.testing.assert_allclose(rendered.color[3, 4].detach(), [0.6, 0.4 * 0.9, 0], atol=1e-12)
    np.testing.assert_allclose(rendered.depth[3, 4].detach(), 0.6 + 0.4 * 0.9 * 3, atol=1e-12)


def test_alpha_is_clipped() -> None:
    rendered = rasterize(
        round_gaussians([1.0], 0.5, [0.9999], [[1.0, 1, 1]]), straight_camera(), backend="reference"
    )
    assert rendered.alpha[3, 4].item() == pytest.approx(model.ALPHA_MAX, abs=1e-12)


def test_a_pixel_ends_before_its_transmittance_is_used_up() -> None:
    """0.97 leaves 0.03, then 0.0009; the third would leave less than 0.0001 and is not drawn."""
    rendered = rasterize(
        round_gaussians([1.0, 2.0, 3.0, 4.0], 0.5, [0.97, 0.97, 0.97, 0.5], [[1.0, 1, 1]] * 4),
        straight_camera(),
        backend="reference",
    )
    assert rendered.alpha[3, 4].item() == pytest.approx(1 - 0.03**2, abs=1e-12)


def test_covariance_is_the_linearised_projection() -> None:
    rng = np.random.default_rng(3)
    view = camera(rng, 50, 40)
    arrays, _ = scene(Recipe(5, 20, 0, 50, 40, (-3.0, -1.0), (0.0, 1.0), 0.0, 0.0))
    local = np.column_stack([rng.uniform(-0.4, 0.4, (20, 2)), np.ones(20)]) * rng.uniform(1, 5, (20, 1))
    arrays[0] = local @ view.world_from_camera[:3, :3].T + view.centre
    p = reference.project(parameters(arrays, torch.float64, grad=False), view, 0, False)
    rotations = reference.rotation_matrices(torch.tensor(arrays[2])).numpy()
    for i in range(20):
        steps = arrays[0][i] + np.concatenate([np.eye(3), -np.eye(3)]) * 1e-6
        pixels, _ = view.project(steps)
        jacobian = ((pixels[:3] - pixels[3:]) / 2e-6).T
        axes = rotations[i] * np.exp(arrays[1][i])
        expected = jacobian @ axes @ axes.T @ jacobian.T + 0.3 * np.eye(2)
        np.testing.assert_allclose(p.covariances[i], expected, rtol=1e-6)
        np.testing.assert_allclose(p.means[i], view.project(arrays[0][i])[0], rtol=1e-12)


def test_harmonics_are_orthonormal_with_3dgs_signs() -> None:
    heights, weights = np.polynomial.legendre.leggauss(12)
    angles = np.arange(24) * 2 * np.pi / 24
    z, angle = np.meshgrid(heights, angles, indexing="ij")
    radius = np.sqrt(1 - z**2)
    directions = torch.tensor(
        np.stack([radius * np.cos(angle), radius * np.sin(angle), z], -1).reshape(-1, 3)
    )
    basis = reference.sh_basis(directions, 3)
    area = torch.tensor(np.repeat(weights, 24) * 2 * np.pi / 24)
    np.testing.assert_allclose((basis * area[:, None]).T @ basis, np.eye(16), atol=1e-12)
    first = reference.sh_basis(torch.eye(3, dtype=torch.float64), 1)
    c = 0.4886025119029199
    np.testing.assert_allclose(first[:, 1:], [[0, 0, -c], [-c, 0, 0], [0, c, 0]], atol=1e-15)


@pytest.mark.parametrize("compensate", [False, True])
def test_gradients_are_those_of_finite_differences(compensate: bool) -> None:
    arrays, view = scene(Recipe(11, 5, 1, 7, 5, (-3.0, -1.0), (-1.0, 2.0), 0.0, 0.0))
    exact = parameters(arrays, torch.float64)

    def draw(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rendered = rasterize(GaussianParameters(*tensors), view, backend="reference", compensate=compensate)
        return rendered.color, rendered.depth, rendered.alpha

    assert int(rasterize(exact, view, backend="reference").visible.sum()) >= 3
    assert torch.autograd.gradcheck(draw, exact.tensors(), eps=1e-7, atol=1e-5, rtol=1e-4)


def test_chunks_of_pixels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, view = scene(Recipe(2, 30, 2, 33, 21, (-3.0, -1.0), (-1.0, 3.0), 0.3, 0.0))
    results = []
    for size in (1 << 21, 100):
        monkeypatch.setattr(reference, "PAIRS_AT_ONCE", size)
        exact = parameters(arrays, torch.float64)
        rendered = rasterize(exact, view, backend="reference")
        (rendered.color.sum() + rendered.depth.sum()).backward()
        results.append([rendered.color.detach(), *(tensor.grad for tensor in exact.tensors())])
    for whole, pieces in zip(*results, strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-10, atol=1e-12)


def test_pixel_centres_are_whole_numbers() -> None:
    """A Gaussian at the principal point is brightest there and symmetric about it."""
    view = replace(straight_camera(), width=9)
    alpha = rasterize(
        round_gaussians([2.0], 0.1, [0.8], [[1, 1, 1]]), view, backend="reference"
    ).alpha.detach()
    assert divmod(int(alpha.argmax()), 9) == (3, 4)
    torch.testing.assert_close(alpha[:, :4], alpha[:, 5:].flip(1))
