"""Compositing at once and in passes: which of the two a processor gets, and that they do the same."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from reconx_ros.splatting.cpu import alphas as a
from reconx_ros.splatting.cpu import backward, backward_passes, forward, lanes, splats
from reconx_ros.splatting.cpu.cells import reached_cells

COUNT = 40


def records() -> np.ndarray:
    """Ellipses of all sizes around a tile, the last four opaque and in one place."""
    rng = np.random.default_rng(0)
    rows = np.zeros((COUNT, splats.SIZE), np.float32)
    xx, yy = np.exp(rng.uniform(-1, 5, (2, COUNT)))
    peak = np.log2(rng.uniform(0.05, 1, COUNT))
    rows[:, splats.X], rows[:, splats.Y] = rng.uniform(-4, 36, (2, COUNT))
    peak[-4:], rows[-4:, splats.X], rows[-4:, splats.Y] = 0, 8, 8
    xx[-4:], yy[-4:] = 200, 200
    xy = rng.uniform(-0.9, 0.9, COUNT) * np.sqrt(xx * yy)
    rows[:, splats.SLOPE] = xy / yy
    rows[:, splats.SHARP_Y] = splats.SHARPNESS / np.sqrt(yy)
    rows[:, splats.SPREAD_X] = np.sqrt(xx - xy**2 / yy) / splats.SHARPNESS
    rows[:, splats.SHARP_X] = 1 / rows[:, splats.SPREAD_X]
    rows[:, splats.PEAK], rows[:, splats.REACH] = peak, peak + splats.REACH_OFFSET
    half = np.sqrt(rows[:, splats.REACH]) / splats.SHARPNESS
    rows[:, splats.HALF_X], rows[:, splats.HALF_Y] = half * np.sqrt(xx), half * np.sqrt(yy)
    rows[:, splats.TILT] = rows[:, splats.HALF_X] * xy / xx
    rows[:, splats.RED : splats.DEPTH + 1] = rng.uniform(0, 2, (COUNT, 4))
    return rows.reshape(-1)


def walks(draw, draw_backward):  # noqa: ANN001, ANN201
    """Return one kernel that draws all records into a tile, and one that goes back over them."""

    @njit(error_model="numpy")
    def forth(records, planes, scratch):  # noqa: ANN001, ANN202
        for i in range(COUNT):
            r = splats.SIZE * i
            x, y = records[r + splats.X], records[r + splats.Y]
            draw(records, r, x, y, reached_cells(records, r, x, y), planes, scratch)

    @njit(error_model="numpy")
    def back(records, work, scratch, slots):  # noqa: ANN001, ANN202
        for i in range(COUNT):
            r = splats.SIZE * i
            x, y = records[r + splats.X], records[r + splats.Y]
            cells = reached_cells(records, r, x, y)
            draw_backward(records, r, x, y, cells, work, scratch, slots, splats.SLOT * i)

    return forth, back


def test_both_draw_the_same_and_find_the_same_gradients() -> None:
    numbers, outcomes = records(), []
    for draws in (
        (forward._draw_at_once, backward._draw_at_once),
        (forward._draw_in_passes, backward_passes.draw_in_passes),
    ):
        forth, back = walks(*draws)
        planes, scratch = np.zeros(forward.TILE, np.float32), np.zeros(a.SCRATCH, np.float32)
        forward.clear(planes)
        forth(numbers, planes, scratch)
        work = np.random.default_rng(1).normal(size=(64, 6, 16)).astype(np.float32)
        work[:, 0] = 1
        slots = np.zeros(splats.SLOT * COUNT, np.float32)
        back(numbers, work.reshape(-1), scratch, slots)
        outcomes.append((planes, work, slots))
    (planes, work, slots), (planes_2, work_2, slots_2) = outcomes
    assert (planes.reshape(64, 5, 16)[:, 0] < 0).any()  # some pixels are finished, and some are not
    assert (planes.reshape(64, 5, 16)[:, 0] > 0).any()
    assert (np.abs(slots.reshape(COUNT, -1)) > 1e-3).all(axis=1).sum() > COUNT / 2
    np.testing.assert_allclose(planes_2, planes, rtol=0, atol=1e-6)
    np.testing.assert_allclose(work_2, work, rtol=1e-5, atol=1e-5)
    slots, off = slots.reshape(COUNT, -1), np.abs(slots_2 - slots).reshape(COUNT, -1)
    assert (off <= 1e-5 * np.abs(slots).max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize(
    ("features", "wide"), [("+avx2,+fma", False), ("+avx2,+avx512f,+fma", True), ("+avx2,-avx512f", False)]
)
def test_the_features_numba_compiles_for_decide(features: str, wide: bool) -> None:
    code = "from reconx_ros.splatting.cpu import lanes; print(lanes.WIDE)"
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(wide)]


def test_the_kernels_take_the_one_for_this_processor() -> None:
    chosen = forward._draw, backward._draw
    at_once = forward._draw_at_once, backward._draw_at_once
    in_passes = forward._draw_in_passes, backward_passes.draw_in_passes
    assert chosen == (at_once if lanes.WIDE else in_passes)
