"""The matching cost of every pixel on every inverse-depth plane, over all neighbours.

A pixel ``p = (x, y, 1)`` of the reference view at the inverse depth ``w`` is seen by neighbour ``k`` at
``q ~ A_k p + w b_k`` with ``A = K_k R K^-1`` and ``b = K_k t`` (``planes.transfer``): on a plane of
constant ``w`` that is a homography (Collins 1996). The cost of one neighbour is ``1 - NCC`` over a
square window, blind to gain and bias of either exposure; NCC has a noise floor in its denominator, so
where there is no texture the cost is near 1 on all planes instead of noise. Neighbours that see the
pixel are ranked, and the mean of the better share counts: an occluder hides it from the others.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.stereo.cpu.volume import LEVELS, UNSEEN, fill
from reconx_ros.splatting.cpu.threads import KERNELS

__all__ = ["LEVELS", "UNSEEN", "cost_volume"]

Floats = NDArray[np.float32]


def cost_volume(
    image: Floats,
    others: Sequence[Floats],
    transfers: Floats,
    planes: Floats,
    radius: int,
    noise: float,
    best_share: float,
) -> NDArray[np.uint8]:
    """Return the cost volume [H, W, D].

    Args:
        image: [H, W] grey values in [0, 1].
        others: grey values of the K neighbours, each of any size from 2 x 2.
        transfers: [K, 3, 4] (A | b) of each neighbour.
        planes: [D] inverse depths.
        radius: half the window in pixels.
        noise: standard deviation of grey values that is no texture.
        best_share: share of the neighbours that see a pixel that counts, rounded up.

    Returns:
        uint8, ``LEVELS`` to a unit of 1 - NCC; ``UNSEEN`` where no neighbour sees the pixel.
    """
    sizes = np.array([other.shape for other in others], np.int64)
    flats = np.zeros((len(others), int(sizes.prod(axis=1).max())), np.float32)
    for flat, other in zip(flats, others, strict=True):
        flat[: other.size] = other.reshape(-1)
    volume = np.empty((*image.shape, len(planes)), np.uint8)
    with KERNELS:
        fill(
            image,
            flats,
            sizes[:, 1].astype(np.uint64),
            sizes,
            transfers,
            planes,
            radius,
            np.float32(noise**2),
            np.float32(best_share),
            volume,
        )
    return volume
