"""The state under the cap: what stays covers what left, however often it is thinned."""

import numpy as np
import pytest
import torch

from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.limits import scene_extent
from reconx_ros.splatting.model import ALPHA_MIN
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


def test_what_is_removed_is_neither_drawn_nor_given_out_and_its_rows_come_back() -> None:
    config = SplattingConfig(max_gaussians=4000)
    state = GaussianState(wall(2000, 0.0, 0), config, torch.device("cpu"))
    gone = np.arange(0, 2000, 2)
    before = state.look()
    state.remove(gone)
    assert (len(state), state.living) == (2000, 1000)
    assert (1 / (1 + np.exp(-state.look().opacity_logits[gone])) < ALPHA_MIN).all()
    assert not before.opacity_logits.any()  # what others hold is not written into
    given = state.snapshot(np.ones(2000, np.float32))
    np.testing.assert_array_equal(given.means, before.means[1::2])
    state.add(wall(3000, 1.0, 1))  # 4,000 living ones fit under the cap
    assert state.living == 4000
    rows = np.flatnonzero(state.alive)
    state.keep(rows)
    assert len(state) == state.living == 4000
    np.testing.assert_array_equal(state.look().means[:1000], before.means[1::2])


def test_the_extent_of_a_growing_map_is_that_of_all_within_a_percent() -> None:
    config = SplattingConfig(max_gaussians=200_000)
    state = GaussianState(wall(30_000, 0.0, 0), config, torch.device("cpu"))
    for number in range(1, 6):
        state.add(wall(17_000, 0.7 * number, number))
        assert state.extent == pytest.approx(scene_extent(state.look().means), rel=0.01)


def test_what_is_added_is_written_behind_what_is_there() -> None:
    """No copy of the map: the time does not depend on its size."""
    state = GaussianState(wall(2000, 0.0, 0), SplattingConfig(max_gaussians=4000), torch.device("cpu"))
    tensors = [*state.parameters.tensors(), *state.adam.first, *state.adam.second, state.adam.counts]
    places = [tensor.data_ptr() for tensor in tensors]
    state.add(wall(1500, 1.0, 1))
    now = [*state.parameters.tensors(), *state.adam.first, *state.adam.second, state.adam.counts]
    assert [tensor.data_ptr() for tensor in now] == places
    assert all(len(tensor) == 3500 for tensor in now)
