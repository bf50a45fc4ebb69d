"""Random numbers on the integer grid and smooth noise, the same on every device and in every run."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

_CELLS = 64
_TABLE = 512


@lru_cache(maxsize=8)
def _hashes(device: torch.device) -> Tensor:
    """Return [65536, 4] random numbers in [0, 1)."""
    rng = np.random.default_rng(20240229)
    return torch.from_numpy(rng.random((65536, 4), dtype=np.float32)).to(device)


@lru_cache(maxsize=16)
def _table(device: torch.device, octaves: int) -> Tensor:
    """Return three periodic fractal noises [1, 3, 513, 513]; 64 coarsest features make a period."""
    rng = np.random.default_rng([octaves, 7])
    total = np.zeros((3, _TABLE, _TABLE))
    for octave in range(octaves):
        total += _value_noise(rng, _CELLS << octave) / 2.0**octave
    padded = np.pad(total, ((0, 0), (0, 1), (0, 1)), mode="wrap").astype(np.float32)
    return torch.from_numpy(padded)[None].to(device)


def _value_noise(rng: np.random.Generator, cells: int) -> NDArray[np.float64]:
    """Return [3, 512, 512] random values at ``cells`` x ``cells`` lattice points, smoothly joined."""
    lattice = rng.uniform(-1.0, 1.0, (3, cells, cells))
    at = np.arange(_TABLE) * cells / _TABLE
    low = at.astype(int)
    rest = at - low
    share = rest * rest * (3.0 - 2.0 * rest)
    high = (low + 1) % cells
    rows = lattice[:, low] * (1 - share)[:, None] + lattice[:, high] * share[:, None]
    noise: NDArray[np.float64] = rows[:, :, low] * (1 - share) + rows[:, :, high] * share
    return noise


def cell_random(first: Tensor, second: Tensor, seed: Tensor) -> Tensor:
    """Return [N, 4] numbers in [0, 1) that belong to the integer cell (first, second), each [N]."""
    index = first.int() * 7 + second.int() * 1619 + seed.int() * 7919
    return _hashes(first.device)[index & 0xFFFF]


def fractal(points: Tensor, width: Tensor, seed: Tensor, octaves: int = 4) -> Tensor:
    """Sum octaves of noise, faded out where a pixel covers their features.

    The first two octaves and the finer ones come from one table each.

    Args:
        points: [N, 2] in units of the coarsest features.
        width: [N] pixel footprint in the same units.
        seed: [N].
        octaves: number of octaves; amplitude and size halve from one to the next.

    Returns:
        [N, 3] three independent noises, roughly in [-1, 1].
    """
    total = _look_up(points, width, seed, min(octaves, 2))
    if octaves > 2:
        total = total + 0.25 * _look_up(points * 4.0, width * 4.0, seed + 31, min(octaves - 2, 3))
    return total / 1.5


def _look_up(points: Tensor, width: Tensor, seed: Tensor, octaves: int) -> Tensor:
    shift = torch.stack([seed * 0.2713, seed * 0.0909], 1)
    at = points / _CELLS + shift
    grid = (at - at.floor()) * 2.0 - 1.0
    table = _table(points.device, octaves)
    value = grid_sample(table, grid[None, None], mode="bilinear", align_corners=True)[0, :, 0].T
    return value * (1.5 - 2.0 * width).clamp(0.0, 1.0)[:, None]
