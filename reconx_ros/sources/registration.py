"""Depth of one camera as another camera would measure it."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Depth = NDArray[np.float32]

SURFACE_STEP = 0.05
"""Largest relative step of depth between neighbours that still belong to one surface."""

SAME_SURFACE = 0.02
"""Relative depth behind the nearest sample of a pixel that is still averaged with it."""

MIN_DEPTH = 1e-3
"""Metres before the target below which a sample is not projected."""

SAMPLES_PER_PIXEL = 1.5
"""Samples along each axis for a pixel of the target: above 1 no pixel of a surface stays empty."""


class DepthRegistration:
    """Forward warping with a z-buffer (as depth_image_proc), but dense.

    Each depth pixel is a small patch, not a point: it is split into n x n samples. Inside a surface
    inverse depth is interpolated between neighbours (exact for a plane); at an edge the patch keeps
    its own depth, so that nothing is stretched between foreground and background. n makes samples
    finer than the target's pixels, so surfaces have no moiré holes. The nearest surface wins a
    pixel, and its samples there are averaged.

    Args:
        source_intrinsics: [3, 3] of the depth camera.
        source_size: width, height of the depth image.
        target_intrinsics: [3, 3] of the colour camera.
        target_size: width, height of the colour image.
        target_from_source: [4, 4], metres.
    """

    def __init__(
        self,
        source_intrinsics: Array,
        source_size: tuple[int, int],
        target_intrinsics: Array,
        target_size: tuple[int, int],
        target_from_source: Array,
    ) -> None:
        magnified = target_intrinsics[(0, 1), (0, 1)] / source_intrinsics[(0, 1), (0, 1)]
        self._split = min(max(math.ceil(SAMPLES_PER_PIXEL * float(magnified.max())), 1), 8)
        self._size = target_size
        projection = target_intrinsics @ target_from_source[:3]
        # A sample is z * ray in the source; its homogeneous target pixel is z * (P ray) + offset.
        rays = _sample_rays(source_intrinsics, source_size, self._split)
        self._directions = (rays @ projection[:, :3].T).astype(np.float32).reshape(-1, 3).T.copy()
        self._offset = projection[:, 3].astype(np.float32)

    def register(self, depth: Depth) -> Depth:
        """Return the depth [H, W] of the target, metres, NaN where unknown, of depth [h, w]."""
        z = _subsample(depth, self._split).reshape(-1)
        width, height = self._size
        column, row, w = (
            z * direction + offset for direction, offset in zip(self._directions, self._offset, strict=True)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            column /= w
            row /= w
            # Comparisons with NaN are false, so unknown depth falls out here.
            inside = (w > MIN_DEPTH) & (column > -0.5) & (column < width - 0.5)
            inside &= (row > -0.5) & (row < height - 0.5)
        kept = np.flatnonzero(inside)
        pixels = np.rint(row[kept]).astype(np.intp) * width + np.rint(column[kept]).astype(np.intp)
        return _nearest_surface(pixels, w[kept], width * height).reshape(height, width)


def _sample_rays(intrinsics: Array, size: tuple[int, int], split: int) -> Array:
    """Return [h * split, w * split, 3] rays with z = 1 of the samples of every pixel."""
    offsets = (np.arange(max(size) * split) + 0.5) / split - 0.5
    columns, rows = np.meshgrid(offsets[: size[0] * split], offsets[: size[1] * split])
    pixels = np.stack([columns, rows, np.ones_like(columns)], axis=-1)
    return np.asarray(pixels @ np.linalg.inv(intrinsics).T)


def _subsample(depth: Depth, split: int) -> Depth:
    """Return [h * split, w * split] depth of the samples of every pixel, NaN where unknown."""
    if split == 1:
        return depth
    inverse = np.nan_to_num(1.0 / depth, nan=0.0).astype(np.float32)
    height, width = depth.shape
    coarse = np.repeat(np.repeat(depth, split, axis=0), split, axis=1)
    smooth = cv2.resize(inverse, (width * split, height * split), interpolation=cv2.INTER_LINEAR)
    kernel = np.ones((3, 3), np.uint8)
    nearest, farthest = cv2.dilate(inverse, kernel), cv2.erode(inverse, kernel)
    flat = ((nearest - farthest) < SURFACE_STEP * nearest) & (farthest > 0)
    flat = np.repeat(np.repeat(flat, split, axis=0), split, axis=1)
    fine = 1.0 / np.where(flat, smooth, 1.0)
    return np.where(flat, fine, coarse).astype(np.float32)


def _nearest_surface(pixels: NDArray[np.intp], z: Depth, count: int) -> Depth:
    """Return for each of ``count`` pixels the mean depth of the samples on its nearest surface."""
    nearest = np.full(count, np.inf, np.float32)
    np.minimum.at(nearest, pixels, z)
    seen = z <= nearest[pixels] * np.float32(1 + SAME_SURFACE)
    total = np.bincount(pixels[seen], weights=z[seen], minlength=count)
    number = np.bincount(pixels[seen], minlength=count)
    with np.errstate(invalid="ignore"):
        return (total / np.where(number, number, np.nan)).astype(np.float32)
