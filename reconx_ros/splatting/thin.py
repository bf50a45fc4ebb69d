"""Fewer points, or Gaussians, that cover the same: what a cap asks for."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.gaussians import Floats

PRECISION = 1.01
"""How many times the smallest voxels that fit those that are used may be as large."""

FINEST = 1e-6
"""Share of the extent below which no smaller voxels are tried."""


def thin(points: Floats, confidence: Floats, cap: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return at most ``cap`` sorted rows of ``points`` [N, 3] that cover them evenly.

    The second array [N] says which of them stands for each point, as an index into the first.

    The cloud is coarsened to the smallest voxels that fit under the cap; the most confident point
    of a voxel stays (the first of equals), so the answer is the same in every run.

    Raises:
        SplattingError: ``cap`` leaves no Gaussian.
    """
    if cap < 1:
        raise SplattingError(f"max_gaussians is {cap}; at least 1 is needed")
    if len(points) <= cap:
        return np.arange(len(points)), np.arange(len(points))
    voxels = _smallest(points, cap)
    order = np.lexsort((np.arange(len(points)), -confidence, voxels))
    starts = np.r_[True, np.diff(voxels[order]) != 0]
    rows = order[starts]
    place = np.empty(len(rows), np.intp)
    place[np.argsort(rows)] = np.arange(len(rows))
    stands_for = np.empty(len(points), np.intp)
    stands_for[order] = place[np.cumsum(starts) - 1]
    return np.sort(rows), stands_for


def widening(log_scales: Floats, rows: NDArray[np.intp], stands_for: NDArray[np.intp]) -> Floats:
    """Return what to add to the log scales of ``rows``, [M, 1]: each gets the area of all it stands for.

    One that stands for itself alone stays as it is, however often the map is thinned.

    Args:
        log_scales: [N, 3] of all.
        rows: [M] of those that stay (``thin``).
        stands_for: [N] of all.
    """
    area = np.exp(2 * log_scales.astype(np.float64).max(axis=1))
    growth = 0.5 * np.log(np.bincount(stands_for, area) / area[rows])
    return np.asarray(growth[:, None], np.float32)


def _smallest(points: Floats, cap: int) -> NDArray[np.int64]:
    """Return the voxel each point is in, of the smallest size with at most ``cap`` of them.

    First a size and its double are found between which it lies, then it is halved in, in proportion.
    """
    local = (points - points.min(axis=0)).astype(np.float64)
    extent = float(local.max())
    best = np.zeros(len(points), np.int64)  # all in one
    fine, coarse = max(FINEST * extent, 1e-12), np.inf
    size = max(extent / np.sqrt(cap), fine)
    while coarse > PRECISION * fine:
        voxels = _voxels(local, size)
        if _count(voxels) <= cap:
            coarse, best = size, voxels
        else:
            fine = size
        guesses = 2 * fine, 0.5 * coarse, np.sqrt(fine * coarse)
        size = guesses[0] if coarse == np.inf else guesses[1] if coarse > 4 * fine else guesses[2]
    return best


def _voxels(local: NDArray[np.float64], size: float) -> NDArray[np.int64]:
    cells = (local / size).astype(np.int64)
    width = cells.max(axis=0) + 1
    keys: NDArray[np.int64] = (cells[:, 0] * width[1] + cells[:, 1]) * width[2] + cells[:, 2]
    return keys


def _count(keys: NDArray[np.int64]) -> int:
    ordered = np.sort(keys)
    return int(np.count_nonzero(np.diff(ordered))) + 1
