"""Depth of rectified pairs, against planes whose disparity is known exactly."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from reconx_ros.errors import SourceError
from reconx_ros.sources.stereo_pair import baseline_of, stereo_depth

WIDTH, HEIGHT, FOCAL, BASELINE = 320, 240, 260.0, 0.1


def pair(disparities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A left picture of noise and the right one that its disparities give, resampled to sub-pixels."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH + 100, 3), dtype=np.uint8), (0, 0), 1.2)
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    right = texture[:, 50 : 50 + WIDTH]
    left = cv2.remap(texture, columns - disparities.astype(np.float32) + 50, rows, cv2.INTER_CUBIC)
    return left, right


@pytest.mark.parametrize("metres", [1.0, 2.3, 5.0])
def test_a_plane_is_where_it_is(metres: float) -> None:
    left, right = pair(np.full((HEIGHT, WIDTH), FOCAL * BASELINE / metres))
    depth = stereo_depth(left, right, FOCAL, BASELINE)
    assert np.isfinite(depth).mean() > 0.7
    # A pixel of disparity is z^2 / (f B) of depth; semi-global matching leans to whole pixels.
    assert abs(np.nanmedian(depth) - metres) < 0.25 * metres**2 / (FOCAL * BASELINE)
    wrong = np.abs(depth - metres) > 0.5 * metres**2 / (FOCAL * BASELINE)
    assert np.mean(wrong[np.isfinite(depth)]) < 0.02


def test_a_step_in_depth_is_kept_apart() -> None:
    disparities = np.full((HEIGHT, WIDTH), 6.0)
    disparities[120:] = 14.0
    depth = stereo_depth(*pair(disparities), FOCAL, BASELINE)
    assert np.nanmedian(depth[:110]) == pytest.approx(FOCAL * BASELINE / 6, rel=0.02)
    assert np.nanmedian(depth[130:]) == pytest.approx(FOCAL * BASELINE / 14, rel=0.02)


def test_pictures_without_anything_to_match_give_no_depth() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert not np.isfinite(stereo_depth(flat, flat, FOCAL, BASELINE)).any()


def test_the_baseline_is_that_of_the_calibration_or_missing() -> None:
    assert baseline_of(SimpleNamespace(p=[260.0, 0, 160, -26.0] + [0] * 8)) == pytest.approx(0.1)
    assert baseline_of(SimpleNamespace(P=[260.0, 0, 160, -13.0] + [0] * 8)) == pytest.approx(0.05)
    for bad in (0.0, 26.0, float("nan")):
        with pytest.raises(SourceError, match="-fx times the baseline"):
            baseline_of(SimpleNamespace(p=[260.0, 0, 160, bad] + [0] * 8))


def test_pictures_of_two_sizes_are_no_pair() -> None:
    left = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(SourceError, match="left image is 320 x 240, right one 160 x 240"):
        stereo_depth(left, left[:, ::2], FOCAL, BASELINE)
