import math

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.evaluation.score import Score, mean_score, score


def test_figures_over_all_and_over_covered_pixels(waves: NDArray[np.float32]) -> None:
    image = waves.copy()
    image[:, 60:] = 0
    covered = np.ones(waves.shape[:2], bool)
    covered[:, 40:] = False
    figures, difference = score(image, waves, covered)
    assert figures.psnr < 15
    assert figures.psnr_covered == math.inf
    assert figures.ssim_covered == pytest.approx(1)
    assert figures.flip_covered < 1e-6 < figures.flip
    assert figures.flip == pytest.approx(difference.mean())
    assert figures.psnr_uncovered < figures.psnr
    assert figures.ssim_uncovered < figures.ssim < figures.ssim_covered
    assert figures.flip_uncovered == pytest.approx(difference[~covered].mean())
    assert figures.json()["psnr_covered"] is None


def test_means_leave_out_what_does_not_exist() -> None:
    one = Score(20, 0.5, 0.1, 22, 0.6, 0.1, 15, 23, 0.4, 0.2)
    two = Score(30, 0.7, 0.3, math.nan, math.nan, math.nan, 17, math.nan, 0.6, 0.3)
    mean = mean_score([one, two])
    assert mean.psnr == 25
    assert mean.psnr_covered == 22
    assert mean.psnr_uncovered == 16
    assert mean_score([]).json()["psnr"] is None
