"""Farthest-point sampling, compiled for the CPU."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def farthest_compiled(
    points: NDArray[Any], mask: NDArray[np.bool_], first: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Choose points as ``farthest_points`` does.

    Args:
        points: [B, P, 3].
        mask: [B, P], false for padding.
        first: [B] where each starts.
        count: points to choose.

    Returns:
        [B, count].
    """
    batch, size = mask.shape
    chosen = np.empty((batch, count), np.int64)
    distance = np.empty(size, points.dtype)
    for b in range(batch):
        distance[:] = np.inf
        last = first[b]
        for k in range(count):
            chosen[b, k] = last
            x, y, z = points[b, last]
            best, last = points.dtype.type(0), first[b]
            for p in range(size):
                if not mask[b, p]:
                    continue
                dx, dy, dz = points[b, p, 0] - x, points[b, p, 1] - y, points[b, p, 2] - z
                distance[p] = min(distance[p], dx * dx + dy * dy + dz * dz)
                if distance[p] > best:
                    best, last = distance[p], p
    return chosen
