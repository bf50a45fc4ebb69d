"""The sensor's errors have the size they are meant to have."""

import numpy as np
import pytest

from reconx_ros.simulation.sensor import HANDHELD, SensorNoise, expose, measure


def test_depth_noise_grows_with_the_square_of_depth() -> None:
    depth = np.repeat(np.float32([1.0, 2.0, 4.0]), 40_000).reshape(3, 200, 200)
    for plane in depth:
        seen = measure(plane, np.ones_like(plane), SensorNoise(depth_sigma=0.0015), 0, 0)
        assert np.std(seen - plane) == pytest.approx(0.0015 * plane[0, 0] ** 2, rel=0.03)


def test_a_perfect_sensor_only_rounds_to_millimetres() -> None:
    depth = np.random.default_rng(0).uniform(0.3, 9, (50, 60)).astype(np.float32)
    depth[0, 0] = np.nan
    seen = measure(depth, np.ones_like(depth), SensorNoise(), 0, 0)
    assert np.isnan(seen[0, 0])
    assert np.nanmax(np.abs(seen - depth)) <= 0.0005 + 1e-6
    assert np.nanmax(np.abs(seen * 1000 - np.rint(seen * 1000))) < 1e-3


def test_depth_is_lost_at_jumps_at_grazing_angles_and_far_away() -> None:
    depth = np.full((20, 30), 2.0, np.float32)
    depth[:, 15:] = 3.0
    depth[:3] = 9.0
    cosine = np.ones_like(depth)
    cosine[-2:] = 0.05
    seen = np.isnan(measure(depth, cosine, SensorNoise(0, 0, 0, 0.12, 1, 8.0), 0, 0))
    expected = np.zeros_like(seen)
    expected[:4] = expected[-2:] = expected[:, 14:16] = True
    assert np.array_equal(seen, expected)


def test_noise_is_drawn_by_seed_and_frame() -> None:
    color = np.full((40, 40, 3), 0.5, np.float32)
    first, again = (expose(color, HANDHELD, 3, 7) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, expose(color, HANDHELD, 4, 7))
    assert not np.array_equal(first, expose(color, HANDHELD, 3, 8))


def test_exposure_drifts_by_a_few_percent() -> None:
    color = np.full((8, 8, 3), 0.5, np.float32)
    means = [
        expose(color, SensorNoise(exposure_sigma=0.03), frame, 0).mean() / 127.5 for frame in range(300)
    ]
    assert np.std(means) == pytest.approx(0.03, rel=0.25)
    assert np.abs(np.diff(means)).max() < 0.04
