"""Validation: figures that agree with a plain computation, intervals, real frames."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.weights import load_network
from reconx_ros.diffusion.training.contest import GUESSED, MODEL, contest
from reconx_ros.diffusion.training.pairs import real_records
from reconx_ros.diffusion.training.records import Example, unpack
from reconx_ros.diffusion.training.validate import validate
from reconx_ros.errors import SourceError, SynthesisError
from reconx_ros.evaluation.interval import gain
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.progress import Silent


def test_decibels_are_those_of_the_evaluation(example: Example) -> None:
    torch.manual_seed(0)
    outcome = contest(SmallModel(widths=(8, 16, 16, 16)).eval(), example)
    assert {MODEL, GUESSED, "push-pull", "telea", "navier-stokes", "mean"} <= set(outcome.images)
    for name, image in outcome.images.items():
        for clip, frame in ((0, 1), (1, 0)):
            picture = image[clip, frame].permute(1, 2, 0).numpy()
            truth = example.truth[clip, frame].permute(1, 2, 0).numpy()
            covered = outcome.covered[clip, frame, 0].numpy() > 0
            for found, mask in ((outcome.holes_db, ~covered), (outcome.covered_db, covered)):
                value = found[name][clip, frame]
                if mask.sum() >= 100:
                    assert value == pytest.approx(psnr(picture, truth, mask), abs=0.05)
                else:
                    assert np.isnan(value)


def test_the_interval_holds_the_mean_and_narrows() -> None:
    random = np.random.default_rng(0)
    few, many = random.normal(0.5, 1.0, (40, 1)), random.normal(0.5, 1.0, (1000, 1))
    wide, narrow = gain(few, np.zeros_like(few)), gain(many, np.zeros_like(many))
    assert wide.low < few.mean() < wide.high
    # Four standard errors: 4 / sqrt(1000) = 0.126.
    assert narrow.high - narrow.low == pytest.approx(0.124, abs=0.02)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_frames_that_say_nothing_do_not_count() -> None:
    first = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    found = gain(first, np.zeros_like(first))
    assert found.clips == 2
    assert found.mean == pytest.approx((1 + 4) / 2)


def test_figures_of_the_fills_and_a_saved_model(clip_folder: Path, tmp_path: Path) -> None:
    SmallModel(widths=(8, 16, 16, 16)).save_pretrained(tmp_path / "model")
    validate(load_network(tmp_path / "model"), clip_folder, None, tmp_path, Silent())
    figures = json.loads((tmp_path / "validation.json").read_text())["procedural"]
    assert figures["holes"]["push-pull"]["mean"] == 0.0
    assert figures["holes"]["mean"]["mean"] < 0.0
    assert figures["covered"]["push-pull-blur"]["mean"] == 0.0
    assert 0.1 < figures["hole_share"] < 0.8
    assert (tmp_path / "procedural.png").read_bytes()[:4] == b"\x89PNG"


def test_no_model_and_no_frames_are_said_in_one_line(small_bag: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="no model of ours"):
        load_network(tmp_path)
    with pytest.raises(SourceError, match="10 frames"):
        real_records(small_bag, "extrapolated", (48, 64))


def test_real_frames_are_covered_by_their_neighbours(redkitchen_bag: Path) -> None:
    records = real_records(redkitchen_bag, "interpolated", (48, 64))[::20]
    outcome = contest(None, unpack(records))
    assert 0.6 < float(outcome.covered.mean()) < 0.99
    gains = gain(outcome.covered_db["push-pull"], outcome.covered_db["mean"])
    assert gains.mean == pytest.approx(0.0, abs=1e-6)
    assert np.nanmean(outcome.covered_db["push-pull"]) > 18
