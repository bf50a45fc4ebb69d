"""The torch implementation for CUDA, on the CPU device, against the numba kernels."""

import numpy as np
import pytest
import torch

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo import semi_global, volume
from reconx_ros.geometry.stereo.device import cuda_serves, match_on_cuda
from reconx_ros.geometry.stereo.planes import sweep, transfer
from reconx_ros.geometry.stereo.tensor import match as tensor_match
from reconx_ros.geometry.stereo.tensor import semi_global as tensor_semi_global
from reconx_ros.geometry.stereo.tensor import volume as tensor_volume
from reconx_ros.geometry.stereo.winner import choose_winner
from test.geometry.stereo.conftest import Room, look_from
from test.geometry.stereo.test_kernels import grey

PLACES = ((0, 0, 0), (0.3, 0, 0), (-0.2, 0.2, 0.1), (0, -0.3, 0))


def problem() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Grey images, transfers and planes of a box before a slanted wall, one image of another size."""
    sizes = ((80, 60), (80, 60), (100, 75), (80, 60))
    images = [grey(Room(0.5, box=True), p, *s) for p, s in zip(PLACES, sizes, strict=True)]
    cameras = [look_from(p, *s) for p, s in zip(PLACES, sizes, strict=True)]
    carries = np.array([transfer(cameras[0], camera) for camera in cameras[1:]], np.float32)
    return images, carries, sweep(40, 1.0, 4.0, 64)


def test_the_cost_volume_is_that_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_volume, "AT_ONCE", 80 * 60 * 3 * 7)  # several chunks of planes
    images, carries, planes = problem()
    ours = volume.cost_volume(images[0], images[1:], carries, planes, 3, 0.004, 0.75)
    theirs = tensor_volume.cost_volume(
        torch.from_numpy(images[0]),
        [torch.from_numpy(image) for image in images[1:]],
        torch.from_numpy(carries),
        torch.from_numpy(planes),
        3,
        0.004,
        0.75,
    ).numpy()
    assert ((ours == volume.UNSEEN) == (theirs == volume.UNSEEN)).mean() > 0.9995
    difference = np.abs(ours.astype(int) - theirs)
    assert (difference > 1).mean() < 0.002  # another order of sums, and pixels on the border


def test_path_costs_are_those_of_the_kernel() -> None:
    rng = np.random.default_rng(0)
    costs = rng.integers(0, 256, (14, 19, 33)).astype(np.uint8)
    image = rng.random((14, 19), np.float32)
    ours = semi_global.aggregate(costs, image, 10, 120, 0.1)
    theirs = tensor_semi_global.aggregate(torch.from_numpy(costs), torch.from_numpy(image), 10, 120, 0.1)
    assert np.abs(ours.astype(int) - theirs.numpy()).max() <= len(semi_global.DIRECTIONS)


def test_the_winner_is_that_of_the_kernels() -> None:
    images, carries, planes = problem()
    config = PlaneSweepConfig()
    costs = volume.cost_volume(images[0], images[1:], carries, planes, 3, config.noise, config.best_share)
    steps = (config.small_step * volume.LEVELS, config.large_step * volume.LEVELS)
    total = semi_global.aggregate(costs, images[0], *steps, config.edge)
    ours = choose_winner(costs, total, planes, volume.LEVELS, volume.UNSEEN)
    theirs = tensor_match.match(images[0], images[1:], carries, planes, config, "cpu")
    assert (np.isfinite(ours.inverse) == np.isfinite(theirs.inverse)).mean() > 0.999
    step = planes[1] - planes[0]
    assert np.nanquantile(np.abs(ours.inverse - theirs.inverse), 0.99) < 0.1 * step
    assert np.nanquantile(np.abs(ours.cost - theirs.cost), 0.99) < 0.02
    assert np.quantile(np.abs(ours.margin - theirs.margin), 0.99) < 0.02


def test_a_gpu_that_is_not_there_is_named() -> None:
    if torch.cuda.is_available():
        assert cuda_serves("cuda")
        return
    assert not cuda_serves("auto")
    with pytest.raises(GeometryError, match=r"plane_sweep\.device = 'cuda'"):
        cuda_serves("cuda")


def test_a_full_gpu_leaves_the_work_to_the_cpu_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(tensor_match, "match", full)
    images, carries, planes = problem()
    assert match_on_cuda(images[0], images[1:], carries, planes, PlaneSweepConfig()) is None
    assert "goes on on the CPU: CUDA out of memory" in caplog.text
