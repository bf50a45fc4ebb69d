"""Planes through a depth map, against planes."""

import numpy as np

from reconx_ros.geometry.stereo.slanted import fit_planes

STEP = 0.01


def surfaces() -> tuple[np.ndarray, np.ndarray]:
    """Inverse depths of a slanted wall with a nearer box, and which pixels are the box."""
    y, x = np.mgrid[:60, :80]
    box = (x > 30) & (x < 55) & (y > 20) & (y < 45)
    return np.where(box, 0.9 - 0.002 * y, 0.3 + 0.0023 * x + 0.0011 * y), box


def test_steps_of_the_sweep_become_the_plane() -> None:
    truth, box = surfaces()
    stepped = (np.rint(truth / STEP) * STEP).astype(np.float32)
    found = fit_planes(stepped, np.full(truth.shape, 0.5, np.float32), STEP)
    before, after = (np.abs(values - truth) for values in (stepped, found))
    assert after.mean() < 0.45 * before.mean()
    assert after[box].max() < STEP  # nothing is drawn from one surface to the other
    assert after.max() < STEP


def test_exact_planes_and_what_is_unknown_stay() -> None:
    truth, _ = surfaces()
    truth = truth.astype(np.float32)
    truth[5:9, 5:30] = np.nan
    found = fit_planes(truth, np.ones(truth.shape, np.float32), STEP)
    assert np.array_equal(np.isnan(found), np.isnan(truth))
    np.testing.assert_allclose(found, truth, atol=2e-4, equal_nan=True)


def test_what_was_hardly_matched_counts_little() -> None:
    y, x = np.mgrid[:40, :40]
    truth = 0.3 + 0.002 * x + 0 * y
    noise = np.random.default_rng(0).normal(0, STEP, truth.shape)
    sure = np.random.default_rng(1).random(truth.shape) < 0.5
    values = np.where(sure, truth, truth + noise).astype(np.float32)
    alike = fit_planes(values, np.full(truth.shape, 0.5, np.float32), STEP)
    told = fit_planes(values, np.where(sure, 0.9, 0.02).astype(np.float32), STEP)
    assert np.abs(told - truth)[sure].mean() < 0.6 * np.abs(alike - truth)[sure].mean()
