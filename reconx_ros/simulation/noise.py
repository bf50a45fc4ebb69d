"""Random numbers on the integer grid and smooth noise, the same on every device and in every run."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

_CELLS = 256


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the periodic lattice [1, 3, 257, 257] in [-1, 1] and the hash table [65536, 4] in [0, 1)."""
    rng = np.random.default_rng(20240229)
    lattice = rng.uniform(-1.0, 1.0, (3, _CELLS, _CELLS)).astype(np.float32)
    padded = np.pad(lattice, ((0, 0), (0, 1), (0, 1)), mode="wrap")
    hashes = rng.random((65536, 4), dtype=np.float32)
    return torch.from_numpy(padded)[None].to(device), torch.from_numpy(hashes).to(device)


def cell_random(first: Tensor, second: Tensor, seed: Tensor) -> Tensor:
    """Return [N, 4] numbers in [0, 1) that belong to the integer cell (first, second), each [N]."""
    index = first.long() * 7 + second.long() * 1619 + seed.long() * 7919
    return _tables(first.device)[1][index & 0xFFFF]


def smooth_noise(points: Tensor, seed: Tensor) -> Tensor:
    """Return three value noises [N, 3] in [-1, 1] with features of size 1 at ``points`` [N, 2]."""
    shift = torch.stack([seed * 17.31, seed * 5.77], 1) % _CELLS
    shifted = points + shift.to(points.dtype)
    whole = shifted.floor()
    rest = shifted - whole
    smooth = rest * rest * (3.0 - 2.0 * rest)
    # The lattice repeats after 256 cells; pixel centres of the table lie on the lattice points.
    place = (whole % _CELLS) + smooth
    grid = place * (2.0 / _CELLS) - 1.0
    table = _tables(points.device)[0]
    return grid_sample(table, grid[None, None], mode="bilinear", align_corners=True)[0, :, 0].T


def fractal(points: Tensor, width: Tensor, seed: Tensor, octaves: int = 4) -> Tensor:
    """Sum octaves of noise, each faded out where a pixel covers its features.

    Args:
        points: [N, 2] in units of the coarsest features.
        width: [N] pixel footprint in the same units.
        seed: [N].
        octaves: number of octaves; amplitude and size halve from one to the next.

    Returns:
        [N, 3] three independent noises, roughly in [-1, 1].
    """
    total = points.new_zeros(len(points), 3)
    for octave in range(octaves):
        scale = 2.0**octave
        fade = (1.5 - 2.0 * scale * width).clamp(0.0, 1.0)[:, None]
        total = total + smooth_noise(points * scale, seed + 31 * octave) * fade / scale
    return total / 1.5
