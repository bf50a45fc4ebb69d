"""The state under the cap: what stays covers what left, however often it is thinned."""

import numpy as np
import torch

from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.state import GaussianState


def wall(count: int, offset: float, seed: int) -> GaussianMap:
    """A square metre of wall at x = ``offset``, of ``count`` Gaussians of 1 cm."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(0, 1, (count, 3)).astype(np.float32)
    means[:, 0] = offset
    return GaussianMap(
        means=means,
        log_scales=np.full((count, 3), np.log(0.01), np.float32),
        quaternions_wxyz=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        opacity_logits=np.zeros(count, np.float32),
        sh=np.zeros((count, 1, 3), np.float32),
        confidence=np.full(count, 0.5, np.float32),
        provenance=np.zeros(count, np.uint8),
    )


def test_a_wall_keeps_its_area_however_many_walls_follow() -> None:
    """Ten walls under a cap of two walls' worth: the area each covers stays what it was.

    Thinned evenly, a wall of n Gaussians of area a becomes n/k of area k a. Widening everything at
    each thinning, as if all had lost neighbours, grows the first wall by 2^9 over nine steps.
    """
    config = SplattingConfig(max_gaussians=4000)
    state = GaussianState(wall(2000, 0.0, 0), config, torch.device("cpu"))
    for number in range(1, 10):
        state.add(wall(2000, 0.5 * number, number))
    result = state.look()
    assert len(result) <= 4000
    for number in range(10):
        here = np.abs(result.means[:, 0] - 0.5 * number) < 0.1
        area = np.exp(2 * result.log_scales[here].mean(axis=1)).sum()
        assert 0.7 < area / (2000 * 0.01**2) < 1.4
        assert 200 < here.sum() < 800
