"""Semi-global aggregation of a cost volume (Hirschmüller 2008) along eight paths.

    L(p, d) = C(p, d) + min(L(q, d), L(q, d - 1) + P1, L(q, d + 1) + P1, min L(q) + P2) - min L(q)

with ``q`` the pixel before ``p`` on the path, summed over the paths. ``P2`` falls with the step of the
image between ``q`` and ``p``: depth edges are where the image has edges.
"""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.stereo.cpu.semi_global import add_path
from reconx_ros.splatting.cpu.threads import KERNELS

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))


def aggregate(
    volume: NDArray[np.uint8],
    image: NDArray[np.float32],
    small: float,
    large: float,
    edge: float,
) -> NDArray[np.uint16]:
    """Return the summed path costs [H, W, D] of ``volume`` [H, W, D].

    Args:
        volume: matching cost in its levels; ``UNSEEN`` counts as NCC = 0.
        image: [H, W] grey values in [0, 1].
        small: P1 in levels, for a step of one plane.
        large: P2 in levels where the image is even, for any other step; at most 4000.
        edge: step of grey values that halves P2.
    """
    total = np.zeros(volume.shape, np.uint16)
    costs = np.float32(small), np.float32(large), np.float32(1 / edge)
    with KERNELS:
        for down, right in DIRECTIONS:
            add_path(volume, image, down, right, *costs, total)
    return total
