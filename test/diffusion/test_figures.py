"""SSIM, FLIP, sharpness and steadiness of fills, against plain computations and scenes of known answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.points import PointEncoder
from reconx_ros.diffusion.training.contest import (
    MODEL,
    WITHOUT_STRUCTURE,
    Outcome,
    contest,
    ways_of,
)
from reconx_ros.diffusion.training.figures import TRUTH, figures_of, unsteadiness
from reconx_ros.diffusion.training.pairs import STEP, real_clips
from reconx_ros.diffusion.training.records import Example
from reconx_ros.evaluation.flip import flip_map
from reconx_ros.evaluation.interval import gain, ratio
from reconx_ros.evaluation.metrics import ssim_map
from reconx_ros.simulation.clips import Clip
from reconx_ros.simulation.simulate import simulate
from reconx_ros.structure.fills import gaussian_blur

HEIGHT, WIDTH, FOCAL = 48, 64, 60.0


def wall(shifts: list[float], noise: float = 0.0) -> Clip:
    """A textured wall at 2 m, filmed while the camera moves right by ``shifts`` pixels of the wall."""
    columns = np.arange(WIDTH)[None] + np.array(shifts)[:, None]
    stripes = 0.5 + 0.4 * np.sin(columns / 4)
    frames = np.repeat(np.repeat(stripes[:, None, :, None], HEIGHT, 1), 3, 3).astype(np.float32)
    frames += noise * np.random.default_rng(0).standard_normal(frames.shape).astype(np.float32)
    depth = np.full((len(shifts), HEIGHT, WIDTH), 2.0, np.float32)
    poses = np.tile(np.eye(4), (len(shifts), 1, 1))
    poses[:, 0, 3] = np.array(shifts) * 2.0 / FOCAL
    k = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    return Clip(frames[:2], depth[:2], poses[:2], k, frames, depth, poses, np.zeros(len(shifts), bool))


def outcome_of(images: dict[str, torch.Tensor]) -> Outcome:
    covered = torch.zeros_like(next(iter(images.values()))[:, :, :1])
    covered[..., : WIDTH // 2] = 1
    return Outcome(images, covered, {}, {})


def test_maps_are_those_of_the_evaluation(example: Example) -> None:
    outcome = contest(None, example)
    figures = figures_of(outcome, example.truth)
    picture, truth = (
        image[1, 1].permute(1, 2, 0).numpy() for image in (outcome.images["telea"], example.truth)
    )
    holes = outcome.covered[1, 1, 0].numpy() == 0
    ssim, flip = ssim_map(picture, truth)[holes], flip_map(picture, truth)[~holes]
    assert figures.ssim["holes"]["telea"][1, 1] == pytest.approx(ssim.mean(), 1e-4)
    assert figures.flip["covered"]["telea"][1, 1] == pytest.approx(flip.mean(), 1e-4)


def test_blur_has_less_energy_and_the_truth_has_all_of_it(example: Example) -> None:
    blurred = gaussian_blur(example.truth.flatten(0, 1), 2.0).view_as(example.truth)
    outcome = replace(contest(None, example), images={"same": example.truth, "blurred": blurred})
    energy = figures_of(outcome, example.truth).energy["holes"]
    assert ratio(energy["same"], energy[TRUTH]).mean == pytest.approx(1)
    found = ratio(energy["blurred"], energy[TRUTH])
    assert 0 < found.low <= found.mean <= found.high < 0.7
    flat = replace(outcome, images={"flat": torch.full_like(example.truth, 0.3)})
    assert np.nanmax(figures_of(flat, example.truth).energy["covered"]["flat"]) == 0


def test_a_wall_is_steady_and_flicker_is_measured() -> None:
    clip = wall([0.0, 3.0, 6.0])
    truth = torch.from_numpy(clip.target_color).permute(0, 3, 1, 2)[None]
    flickering = truth.clone()
    flickering[:, 1] += 0.1
    table = unsteadiness(outcome_of({"same": truth, "flickering": flickering}), clip)
    for region in ("holes", "covered"):
        assert table[region][TRUTH].shape == (1, 2)
        assert np.abs(table[region][TRUTH]).max() < 2e-3
        np.testing.assert_allclose(table[region]["same"], table[region][TRUTH])
        np.testing.assert_allclose(table[region]["flickering"], 0.1, atol=3e-3)


def test_a_picture_that_sticks_to_the_screen_is_unsteady() -> None:
    clip = wall([0.0, 5.0, 10.0])
    still = torch.from_numpy(clip.target_color[:1].repeat(3, 0)).permute(0, 3, 1, 2)[None]
    table = unsteadiness(outcome_of({"still": still}), clip)
    assert table["holes"]["still"].min() > 0.2


def test_other_ways_to_ask_the_model(example: Example) -> None:
    torch.manual_seed(0)
    model = SmallModel(widths=(8, 16, 16, 16), structure_width=32).eval()
    for value in model.parameters():
        value.data += 0.1 * torch.randn_like(value)
    encoder = PointEncoder(tokens=16, width=32, heads=2, points=200).eval()
    images = contest(model, example, encoder, ways_of(model, (2,), True)).images
    plain = contest(model, example).images
    assert torch.equal(images[WITHOUT_STRUCTURE], plain[MODEL])
    assert (images[WITHOUT_STRUCTURE] - images[MODEL]).abs().max() > 1e-4
    assert (images[f"{MODEL}, 2 steps"] - images[MODEL]).abs().max() > 1e-4
    again = contest(model, example, encoder, ways_of(model, (2,), True)).images
    assert torch.equal(again[f"{MODEL}, 2 steps"], images[f"{MODEL}, 2 steps"])
    assert WITHOUT_STRUCTURE not in ways_of(model, (4,), False)


def test_clips_of_a_recording_follow_each_other(tmp_path: Path) -> None:
    simulate(tmp_path / "room", frames=20, width=32, height=24)
    between = real_clips(tmp_path / "room", "interpolated", (24, 32), 3, 3)
    beyond = real_clips(tmp_path / "room", "extrapolated", (24, 32), 3, 3)
    singles = real_clips(tmp_path / "room", "interpolated", (24, 32))
    assert (len(between), len(beyond), len(singles)) == (5, 3, 20 - STEP)
    for clip in between:
        assert clip.target_color.shape == (3, 24, 32, 3)
        assert not clip.extrapolated.any()
    assert beyond[0].extrapolated.all()
    for number, clip in enumerate(between):
        single = singles[3 * number]
        np.testing.assert_array_equal(clip.target_color[1], single.target_color[0])
        np.testing.assert_array_equal(clip.world_from_camera, single.world_from_camera)


def test_a_ratio_is_of_sums_and_its_interval_holds_it() -> None:
    below = np.array([[1.0, 1.0], [10.0, np.nan], [3.0, 4.0]])
    found = ratio(0.5 * below, below)
    assert (found.mean, found.low, found.high, found.clips) == (0.5, 0.5, 0.5, 3)
    mixed = ratio(np.array([[2.0], [5.0]]), np.array([[1.0], [10.0]]))
    assert mixed.mean == pytest.approx(7 / 11)
    assert mixed.low == pytest.approx(0.5)
    assert mixed.high == pytest.approx(2.0)
    assert ratio(np.array([[np.nan]]), np.array([[1.0]])).clips == 0
    assert gain(np.array([[np.nan]]), np.array([[1.0]])).clips == 0
