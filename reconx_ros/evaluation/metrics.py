"""Image metrics of the novel-view literature: PSNR, SSIM and PSNR after a colour fit.

Images are [H, W, 3] float32 RGB in [0, 1] (sRGB values as displayed). FLIP has a file of its own.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

SSIM_RADIUS = 5
SSIM_SIGMA = 1.5


def psnr(image: Image, truth: Image, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB: ``-10 log10(MSE)`` for a data range of 1.

    Args:
        image: [H, W, 3], clipped to [0, 1] first, as a picture file would be.
        truth: [H, W, 3].
        mask: [H, W]; the squared error is pooled over its true pixels and all channels.

    Returns:
        dB; infinite for equal images, NaN for an empty mask.
    """
    squared = np.square(np.clip(image, 0, 1).astype(np.float64) - truth)
    values = squared if mask is None else squared[mask]
    if values.size == 0:
        return float("nan")
    error = float(values.mean())
    return float("inf") if error == 0 else -10.0 * float(np.log10(error))


def ssim(image: Image, truth: Image, mask: Mask | None = None) -> float:
    """Mean of ``ssim_map`` over the pixels whose window lies inside the image (and ``mask`` [H, W])."""
    inside = slice(SSIM_RADIUS, -SSIM_RADIUS)
    values = ssim_map(image, truth)[inside, inside]
    return float(values.mean()) if mask is None else masked_mean(values, mask[inside, inside])


def ssim_map(image: Image, truth: Image) -> NDArray[np.float64]:
    """Structural similarity (Wang et al. 2004): 11-tap Gaussian window, sigma 1.5, K = 0.01, 0.03.

    Args:
        image: [H, W, 3], clipped to [0, 1]; H, W >= 11.
        truth: [H, W, 3].

    Returns:
        [H, W], the mean over channels.
    """
    x, y = np.clip(image, 0, 1).astype(np.float64), truth.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return np.asarray((luminance * structure).mean(axis=-1))


def masked_mean(values: NDArray[np.floating], mask: Mask) -> float:
    """Mean of ``values`` [H, W] over ``mask`` [H, W]; NaN where the mask is empty."""
    return float(values[mask].mean()) if mask.any() else float("nan")


def colour_corrected(image: Image, truth: Image, mask: Mask | None = None) -> Image:
    """Fit ``truth = gain * image + offset`` for each channel by least squares, and apply it.

    Takes out what an exposure or white-balance change between frames adds to the error.

    Args:
        image: [H, W, 3].
        truth: [H, W, 3].
        mask: [H, W], the pixels the fit is made on (all where ``None`` or fewer than two).
    """
    chosen = mask if mask is not None and mask.sum() > 1 else np.ones(image.shape[:2], bool)
    corrected = [_fitted(image[..., c], truth[..., c], chosen) for c in range(3)]
    return np.clip(np.stack(corrected, axis=-1), 0, 1).astype(np.float32)


def _fitted(image: Image, truth: Image, mask: Mask) -> NDArray[np.float64]:
    x, y = image[mask].astype(np.float64), truth[mask].astype(np.float64)
    variance = float(x.var())
    gain = float(((x - x.mean()) * (y - y.mean())).mean()) / variance if variance > 1e-12 else 0.0
    fitted: NDArray[np.float64] = gain * (image - x.mean()) + y.mean()
    return fitted


def _window_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    taps = np.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    taps /= taps.sum()
    return np.asarray(cv2.sepFilter2D(values, -1, taps, taps), dtype=np.float64)
