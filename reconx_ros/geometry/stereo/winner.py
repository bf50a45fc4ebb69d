"""The plane that wins at each pixel, between planes, and how clearly it wins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.stereo.cpu.winner import winners
from reconx_ros.splatting.cpu.threads import KERNELS

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Winner:
    """The best plane of every pixel.

    Attributes:
        inverse: [H, W] float32 inverse depth, NaN where no neighbour sees the pixel.
        cost: [H, W] float32, 1 - NCC of the winner before aggregation.
        margin: [H, W] float32 in [0, 1], how much better the winner is than the best plane outside its
            valley, of aggregated costs: 0 where there is a second winner, 1 where there is none.
    """

    inverse: Floats
    cost: Floats
    margin: Floats


def choose_winner(
    volume: NDArray[np.uint8], total: NDArray[np.uint16], planes: Floats, levels: float, unseen: int
) -> Winner:
    """Return the winner of the aggregated costs ``total`` [H, W, D] of ``volume`` [H, W, D].

    The winner lies at the vertex of the parabola through the three aggregated costs around it.

    Args:
        volume: matching costs.
        total: aggregated costs.
        planes: [D] inverse depths, evenly spaced.
        levels: cost levels to a unit of 1 - NCC.
        unseen: matching cost of what no neighbour sees.
    """
    with KERNELS:
        inverse, cost, margin = winners(volume, total, planes, unseen)
    return Winner(inverse, cost / np.float32(levels), margin)
