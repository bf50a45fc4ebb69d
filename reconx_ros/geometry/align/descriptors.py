"""A cheap description of a whole image, by which views of one place are found without poses."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIZE = (64, 48)
CELLS = (4, 3)
DIRECTIONS = 8
COLOR_SHARE = 0.5
"""Weight of colours beside edges."""


def describe(image: NDArray[np.uint8]) -> Floats:
    """Return a unit vector [120]: directions of edges and mean colour in each cell of a 4 x 3 grid.

    The dot product of two is the similarity of the images, at most 1. Edges are taken by their direction
    and the root of their strength, colours relative to the image's mean, so exposure matters little.

    Args:
        image: [H, W, 3] uint8 RGB.
    """
    small = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    across, down = (cv2.Sobel(lab[..., 0], cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    bins = (np.arctan2(down, across) % np.pi * (DIRECTIONS / np.pi)).astype(int) % DIRECTIONS
    strength = np.sqrt(np.hypot(across, down))
    edges = _cells(strength[..., None] * (bins[..., None] == np.arange(DIRECTIONS)))
    colors = _cells(lab)
    colors = colors - colors.mean(axis=0)
    parts = [_unit(edges), COLOR_SHARE * _unit(colors)]
    return _unit(np.concatenate([part.ravel() for part in parts]))


def _cells(values: Floats) -> Floats:
    """Return the means [12, C] of values [H, W, C] over the cells of the grid."""
    columns, rows = CELLS
    height, width, channels = values.shape
    split = values.reshape(rows, height // rows, columns, width // columns, channels)
    return np.asarray(split.mean(axis=(1, 3)).reshape(-1, channels), dtype=np.float32)


def _unit(values: Floats) -> Floats:
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-9), dtype=np.float32)
