import math

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from reconx_ros.evaluation.metrics import colour_corrected, masked_mean, psnr, ssim, ssim_map

Picture = NDArray[np.float32]


@pytest.fixture
def noisy(waves: Picture) -> Picture:
    return np.clip(waves + np.random.default_rng(1).normal(0, 0.1, waves.shape), 0, 1).astype(np.float32)


def test_psnr_of_a_known_error() -> None:
    truth = np.full((4, 5, 3), 0.5, np.float32)
    assert psnr(truth + np.float32(0.1), truth) == pytest.approx(20.0, abs=1e-4)
    assert psnr(truth, truth) == math.inf


def test_psnr_agrees_with_skimage(noisy: Picture, waves: Picture) -> None:
    assert psnr(noisy, waves) == pytest.approx(
        peak_signal_noise_ratio(waves, noisy, data_range=1), abs=1e-4
    )


def test_psnr_clips_what_a_picture_cannot_show() -> None:
    truth = np.ones((4, 4, 3), np.float32)
    assert psnr(truth * 7, truth) == math.inf


def test_masked_psnr_pools_over_the_masked_pixels_only() -> None:
    truth = np.zeros((4, 4, 3), np.float32)
    image = truth.copy()
    image[:2] = 0.1
    image[2:] = 0.9
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert psnr(image, truth, mask) == pytest.approx(20.0, abs=1e-4)
    assert math.isnan(psnr(image, truth, np.zeros((4, 4), bool)))


def test_ssim_agrees_with_skimage(noisy: Picture, waves: Picture) -> None:
    expected, full = structural_similarity(
        waves.astype(np.float64),
        noisy.astype(np.float64),
        data_range=1,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(noisy, waves) == pytest.approx(expected, abs=1e-7)
    inside = (slice(5, -5), slice(5, -5))
    assert np.abs(ssim_map(noisy, waves)[inside] - full.mean(axis=-1)[inside]).max() < 1e-7


def test_ssim_of_equal_pictures_is_one(waves: Picture) -> None:
    assert ssim(waves, waves) == pytest.approx(1.0, abs=1e-12)


def test_ssim_of_flat_pictures_is_the_luminance_term() -> None:
    first, second = np.full((16, 16, 3), 0.2, np.float32), np.full((16, 16, 3), 0.6, np.float32)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(first, second) == pytest.approx(expected, abs=1e-6)


def test_masked_ssim_is_the_mean_of_the_map_there(noisy: Picture, waves: Picture) -> None:
    mask = np.zeros(waves.shape[:2], bool)
    mask[10:30, 20:50] = True
    assert ssim(noisy, waves, mask) == pytest.approx(ssim_map(noisy, waves)[10:30, 20:50].mean())
    assert math.isnan(masked_mean(np.ones((2, 2)), np.zeros((2, 2), bool)))


def test_colour_correction_undoes_exposure_and_white_balance(waves: Picture) -> None:
    truth = waves * 0.5 + 0.2
    exposed = (truth - np.float32(0.05)) * np.array([0.8, 0.9, 0.7], np.float32)
    assert psnr(exposed, truth) < 25
    assert np.abs(colour_corrected(exposed, truth) - truth).max() < 1e-5


def test_colour_correction_is_fitted_on_the_mask(waves: Picture) -> None:
    truth = waves * 0.5 + 0.2
    image = truth * 0.8
    image[:, :10] = 1.0
    mask = np.ones(truth.shape[:2], bool)
    mask[:, :10] = False
    assert psnr(colour_corrected(image, truth, mask), truth, mask) > 90


def test_colour_correction_of_a_flat_picture_is_the_mean(waves: Picture) -> None:
    truth, flat = waves, np.full_like(waves, 0.3)
    assert np.allclose(colour_corrected(flat, truth), truth.mean(axis=(0, 1)), atol=1e-6)
