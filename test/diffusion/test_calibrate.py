"""Confidences beside what was right, on clips that the curves were and were not fitted to."""

from pathlib import Path

import pytest
import torch

from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.names import FILL, SMALL
from reconx_ros.diffusion.training.calibrate import calibrate, checked
from reconx_ros.progress import Silent


def test_a_curve_is_off_by_what_its_bins_say_and_less_where_it_was_fitted(
    clip_folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = SmallModel(widths=(8, 16, 16, 16), structure_width=32).eval()
    curves, held_out = calibrate(model, clip_folder, tmp_path / "halves.png", Silent())
    assert set(curves) == set(held_out) == {SMALL, FILL}
    fitted = checked(model, curves, clip_folder, tmp_path / "all.png", Silent())
    for test in (*held_out.values(), *fitted.values()):
        pixels = sum(row["pixels"] for row in test["bins"])
        gap = sum(row["pixels"] * abs(row["confidence"] - row["right"]) for row in test["bins"]) / pixels
        assert test["expected_error"] == pytest.approx(gap)
        assert all(0 <= row["right"] <= 1 for row in test["bins"])
    for name in curves:
        assert fitted[name]["expected_error"] < 0.05
        both = sum(row["pixels"] for row in fitted[name]["bins"])
        assert both == 2 * sum(row["pixels"] for row in held_out[name]["bins"])
    assert (tmp_path / "all.png").read_bytes()[:4] == b"\x89PNG"
