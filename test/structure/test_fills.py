import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from reconx_ros.structure.fills import FILLS, gaussian_blur, mean_color, push_pull
from reconx_ros.structure.uncertainty import COVERED_SHARE, hole_depth, uncertainty_map


def partial_image(height: int, width: int, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, height, width, generator=generator) < share).double()
    mask[:, :, 0, 0] = 1
    return image * mask, mask


def slow_push_pull(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """[C, H, W] and [H, W]: the pyramid pixel by pixel."""
    channels, height, width = image.shape
    if height == 1 and width == 1:
        return image
    h = np.array([1, 3, 3, 1]) / 8
    rows, columns = -(-height // 2), -(-width // 2)
    coarse, coarse_weight = np.zeros((channels, rows, columns)), np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for a in range(4):
                for b in range(4):
                    y, x = 2 * i - 1 + a, 2 * j - 1 + b
                    if 0 <= y < height and 0 <= x < width:
                        coarse[:, i, j] += h[a] * h[b] * weight[y, x] * image[:, y, x]
                        coarse_weight[i, j] += h[a] * h[b] * weight[y, x]
            coarse[:, i, j] /= max(coarse_weight[i, j], 1e-8)
    up = slow_push_pull(coarse, np.minimum(1, 4 * coarse_weight))
    full = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            # The centre of fine pixel y lies at (y + 1/2)/2 − 1/2 on the coarse grid.
            v, u = np.clip((y - 0.5) / 2, 0, rows - 1), np.clip((x - 0.5) / 2, 0, columns - 1)
            i, j = int(v), int(u)
            di, dj = v - i, u - j
            down, right = min(i + 1, rows - 1), min(j + 1, columns - 1)
            finer = (1 - di) * ((1 - dj) * up[:, i, j] + dj * up[:, i, right])
            finer += di * ((1 - dj) * up[:, down, j] + dj * up[:, down, right])
            full[:, y, x] = weight[y, x] * image[:, y, x] + (1 - weight[y, x]) * finer
    return full


@pytest.mark.parametrize("size", [(9, 14), (16, 16), (5, 1)])
def test_push_pull_against_loops(size: tuple[int, int]) -> None:
    image, mask = partial_image(*size, share=0.15, seed=1)
    filled = push_pull(image, mask).numpy()
    for b in range(2):
        np.testing.assert_allclose(
            filled[b], slow_push_pull(image[b].numpy(), mask[b, 0].numpy()), atol=1e-9
        )


# OpenCV's Telea loses up to a level of 255 at every pixel it marches.
@pytest.mark.parametrize("name", [name for name in FILLS if name != "telea"])
@settings(deadline=None, max_examples=15)
@given(st.integers(3, 20), st.integers(3, 20), st.floats(0, 0.9), st.integers(0, 1000))
def test_a_constant_stays_constant(name: str, height: int, width: int, share: float, seed: int) -> None:
    _, mask = partial_image(height, width, share, seed)
    color = torch.tensor([51.0, 102.0, 204.0])[:, None, None] / 255
    filled = FILLS[name]((color * mask.float()), mask.float())
    torch.testing.assert_close(filled, color.expand_as(filled), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in FILLS if name != "push-pull-blur"])
def test_known_pixels_stay_and_holes_lie_within_the_range(name: str) -> None:
    image, mask = partial_image(24, 31, 0.5, 7)
    filled = FILLS[name](image, mask)
    torch.testing.assert_close(filled * mask, image, atol=0, rtol=0)
    assert filled.min() >= 0
    assert filled.max() <= 1


@pytest.mark.parametrize("name", FILLS)
def test_nothing_known_gives_grey(name: str) -> None:
    filled = FILLS[name](torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))
    torch.testing.assert_close(filled, torch.full_like(filled, 0.5), atol=0.003, rtol=0)


def test_mean_color_is_the_mean_of_known_pixels() -> None:
    image, mask = partial_image(10, 10, 0.4, 2)
    filled = mean_color(image, mask)
    known = image[0, 1][mask[0, 0] > 0].mean()
    torch.testing.assert_close(filled[0, 1][mask[0, 0] == 0].unique(), known[None])


def test_inpainting_reaches_a_gradient() -> None:
    """Telea and Navier–Stokes continue a ramp over a narrow gap to a few hundredths."""
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 16, 32)
    mask = torch.ones(1, 1, 16, 32)
    mask[..., 14:18] = 0
    for name in ("telea", "navier-stokes", "push-pull"):
        assert (FILLS[name](ramp * mask, mask) - ramp).abs().max() < 0.07


def test_blur_keeps_a_linear_ramp_inside_and_the_mean_of_a_point() -> None:
    ramp = torch.linspace(0, 1, 20).double().expand(1, 3, 20, 20)
    torch.testing.assert_close(gaussian_blur(ramp, 0.7)[..., 4:-4], ramp[..., 4:-4])
    point = torch.zeros(1, 1, 9, 9).double()
    point[..., 4, 4] = 1
    blurred = gaussian_blur(point, 0.7)[0, 0]
    assert blurred.sum() == pytest.approx(1)
    assert blurred[4, 5] / blurred[4, 4] == pytest.approx(np.exp(-1 / (2 * 0.7**2)))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.002, 0.5), st.integers(0, 1000))
def test_hole_depth_is_the_distance_transform(height: int, width: int, share: float, seed: int) -> None:
    _, mask = partial_image(height, width, share, seed)
    exact = np.stack([distance_transform_edt(each[0] == 0) for each in mask.numpy()])
    np.testing.assert_allclose(hole_depth(mask, 12)[:, 0].numpy(), np.minimum(exact, 12), atol=1e-9)


def test_nothing_covered_is_as_deep_as_it_gets() -> None:
    assert (uncertainty_map(torch.zeros(1, 1, 6, 5)) == 1).all()


def test_uncertainty_orders_covered_before_holes_and_grows_inward() -> None:
    coverage = torch.zeros(1, 1, 1, 12)
    coverage[..., :4] = 1
    confidence = torch.tensor([1.0, 0.5, 0.1, 0.0] + [0.0] * 8)[None, None, None]
    found = uncertainty_map(coverage, confidence, reach=4)[0, 0, 0]
    expected = [0, COVERED_SHARE / 2, COVERED_SHARE * 0.9, COVERED_SHARE]
    expected += [COVERED_SHARE + (1 - COVERED_SHARE) * d for d in (0.25, 0.5, 0.75, 1, 1, 1, 1, 1)]
    torch.testing.assert_close(found, torch.tensor(expected))
