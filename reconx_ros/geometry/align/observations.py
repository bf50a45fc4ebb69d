"""The sampled pixels of all pairs as tensors: what the search looks at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.pairs import PairPointMaps

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Observations:
    """N views with S sampled pixels each, and B = 2 E blocks: each pair says something of two views.

    Block 2e holds the first view of pair e, block 2e + 1 the second.

    Attributes:
        pixels: [N, S, 2] float64 (x, y).
        rays: [N, S, 3] float64 with z = 1, by the intrinsics as given.
        view: [B] int64, the view that a block is about.
        base: [B] int64, the view in whose camera frame its points are.
        points: [B, S, 3] float64, 0 where unknown.
        weight: [B, S] float64, log C over its mean; 0 where unknown.
        metric: [E] bool, whether a pair's scale is known to be 1.
    """

    pixels: Tensor
    rays: Tensor
    view: Tensor
    base: Tensor
    points: Tensor
    weight: Tensor
    metric: Tensor

    @property
    def views(self) -> int:
        """N."""
        return self.rays.shape[0]

    @property
    def pairs(self) -> int:
        """E."""
        return len(self.metric)


def observe(pairs: Sequence[PairPointMaps], cameras: Sequence[Camera], samples: int) -> Observations:
    """Sample about ``samples`` pixels of each view on a lattice, the same in all of its pairs."""
    lattices = [lattice_of(camera, samples) for camera in cameras]
    most = max(len(lattice) for lattice in lattices)
    pixels = np.zeros((len(cameras), most, 2))
    rays = np.ones((len(cameras), most, 3))
    for view, (lattice, camera) in enumerate(zip(lattices, cameras, strict=True)):
        pixels[view, : len(lattice)] = lattice
        homogeneous = np.column_stack([lattice, np.ones(len(lattice))])
        rays[view, : len(lattice)] = homogeneous @ np.linalg.inv(camera.intrinsics).T
    blocks = [_block(pair, side, lattices[pair.views[side]], most) for pair in pairs for side in (0, 1)]
    points, weight = (np.stack(part) for part in zip(*blocks, strict=True))
    return Observations(
        torch.from_numpy(pixels),
        torch.from_numpy(rays),
        torch.tensor([view for pair in pairs for view in pair.views]),
        torch.tensor([pair.first for pair in pairs for _ in (0, 1)]),
        torch.from_numpy(points),
        torch.from_numpy(weight / max(weight[weight > 0].mean() if (weight > 0).any() else 1.0, 1e-12)),
        torch.tensor([pair.metric for pair in pairs]),
    )


def lattice_of(camera: Camera, samples: int) -> NDArray[np.intp]:
    """Return about ``samples`` pixels [S, 2] (x, y) spread evenly."""
    step = max(1.0, np.sqrt(camera.width * camera.height / samples))
    columns, rows = (
        np.floor((np.arange(max(1, int(length // step))) + 0.5) * length / max(1, int(length // step)))
        for length in (camera.width, camera.height)
    )
    grid = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)
    return grid.astype(np.intp)


def _block(pair: PairPointMaps, side: int, lattice: NDArray[np.intp], most: int) -> tuple[Array, Array]:
    points, weight = np.zeros((most, 3)), np.zeros(most)
    x, y = lattice.T
    seen = pair.points[side][y, x].astype(np.float64)
    known = np.isfinite(seen).all(1)
    points[: len(lattice)] = np.where(known[:, None], seen, 0.0)
    sure = np.log(np.maximum(pair.confidence[side][y, x].astype(np.float64), 1.0))
    weight[: len(lattice)] = np.where(known, sure, 0.0)
    return points, weight
