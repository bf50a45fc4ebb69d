"""Training: clips on disk, guises, the loss, overfitting, going on where it stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.network import Prediction
from reconx_ros.diffusion.small.sampling import NOISE
from reconx_ros.diffusion.training.augment import exchanged, mirrored, recolored
from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.inputs import POINT_STRIDE, disturbed, observation_of, points_of
from reconx_ros.diffusion.training.log import EVENTS, LOG
from reconx_ros.diffusion.training.loop import (
    MODEL,
    advance,
    begin,
    measure,
    parts_of_step,
    rate,
    train,
)
from reconx_ros.diffusion.training.losses import loss
from reconx_ros.diffusion.training.records import Example, quick_exposure, unpack
from reconx_ros.diffusion.training.shards import ClipStore, prepare
from reconx_ros.diffusion.training.sheet import plot_curves
from reconx_ros.diffusion.training.state import STATE
from reconx_ros.diffusion.training.team import Team
from reconx_ros.errors import SourceError, SynthesisError
from reconx_ros.progress import Silent
from reconx_ros.simulation.clips import ClipConfig
from reconx_ros.structure.conditioning import warp_references


class StopAfter(Silent):
    """Ask to stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def cancelled(self) -> bool:
        self.left -= 1
        return self.left < 0


def rewarped(example: Example) -> Example:
    """Warp the example's references anew."""
    frames, count = example.truth.shape[1], example.reference_color.shape[1]
    k = example.intrinsics[:, None]
    render = warp_references(
        example.reference_color,
        example.reference_depth,
        k.expand(-1, count, -1, -1),
        example.reference_pose,
        k.expand(-1, frames, -1, -1),
        example.target_pose,
        example.truth.shape[-2:],
        overscan=0.25,
        guess=True,
    )
    return replace(example, render=render, exposure=quick_exposure(render))


def agree(first: Example, second: Example) -> None:
    """What is stored and what is warped anew differ by the rounding to bytes and halves."""
    differ = (first.render.coverage != second.render.coverage).float().mean()
    assert differ < 0.02
    both = first.render.coverage * second.render.coverage
    error = ((first.render.color - second.render.color).abs() * both).sum() / both.sum() / 3
    assert error < 0.01


def test_a_record_holds_what_warping_anew_gives(example: Example) -> None:
    agree(example, rewarped(example))


def test_a_mirrored_clip_is_the_clip_of_a_mirrored_scene(example: Example) -> None:
    flipped = mirrored(example)
    agree(flipped, rewarped(flipped))
    torch.testing.assert_close(mirrored(flipped).render.color, example.render.color, atol=0, rtol=0)
    torch.testing.assert_close(mirrored(flipped).target_pose, example.target_pose)


def test_exchanged_references_and_colours_change_nothing_else(example: Example) -> None:
    seen = observation_of(example)
    swapped = observation_of(exchanged(example, [1, 0]))
    torch.testing.assert_close(swapped.base, seen.base, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(swapped.taken[:, :, 0], seen.taken[:, :, 1], atol=1e-5, rtol=1e-4)
    other = observation_of(recolored(example, [2, 0, 1]))
    torch.testing.assert_close(other.base, seen.base[:, :, [2, 0, 1]])


def test_single_frames_are_those_of_the_clip(store: ClipStore) -> None:
    clip, frame = store[1], store.part(1, slice(1, 2))
    assert frame["truth"].shape[0] == 1
    torch.testing.assert_close(frame["truth"][0], clip["truth"][1])
    torch.testing.assert_close(frame["reference_color"], clip["reference_color"])


def test_preparing_goes_on_and_refuses_another_kind(clip_folder: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in clip_folder.glob("*.safetensors")}
    config = ClipConfig(size=(48, 64), frames=2, clips=2)
    assert prepare(clip_folder, 1, config, 60, Silent(), scenes=2) == 4
    assert {file: file.stat().st_mtime_ns for file in clip_folder.glob("*.safetensors")} == before
    with pytest.raises(SourceError, match="take another folder"):
        prepare(clip_folder, 1, ClipConfig(size=(96, 128)), 60, Silent())
    with pytest.raises(SourceError, match="no readable training clips"):
        ClipStore(clip_folder.parent)


def test_the_loss_of_the_truth_and_of_the_fill(example: Example) -> None:
    seen = observation_of(example)
    covered = cropped(example.render.coverage.amax(2), example.render.margin)
    certain = torch.zeros_like(covered)
    base = cropped(seen.base, seen.margin)
    of_truth = loss(Prediction(example.truth, certain), seen, example.truth, covered)
    of_base = loss(Prediction(base, certain), seen, example.truth, covered)
    assert float(of_truth.total) == 0.0
    assert float(of_base.total) > 0.5
    assert float(of_base.holes_db) == pytest.approx(0.0, abs=1e-5)
    half = (base + example.truth) / 2
    of_half = loss(Prediction(half, certain), seen, example.truth, covered)
    # Half the error is 6.02 dB, less the 60 dB floor of the logarithm.
    assert float(of_half.holes_db) == pytest.approx(6.02, abs=0.1)
    assert float(of_half.covered_db) == pytest.approx(6.02, abs=0.1)


def test_one_example_is_learned_by_heart(store: ClipStore) -> None:
    config = TrainingConfig(steps=150, widths=(8, 16, 16, 16), learning_rate=6e-3, warm_up=5, bf16=False)
    training = begin(config, "cpu")
    example, luck = unpack([store.part(0, slice(1, 2))]), torch.Generator().manual_seed(0)
    for step in range(config.steps):
        done = measure(training, example, config, luck)
        for group in training.optimiser.param_groups:
            group["lr"] = rate(step, config)
        training.optimiser.zero_grad()
        done.total.backward()
        training.optimiser.step()
    done = measure(training, example, config, luck)
    assert float(done.holes_db) > 3.0
    assert float(done.covered_db) > 0.5


@pytest.mark.parametrize("more", [{}, {"frames": 2, "flow": 0.5, "structure": True, "drop": 0.3}])
def test_going_on_is_the_same_as_not_stopping(
    clip_folder: Path, tiny: TrainingConfig, tmp_path: Path, more: dict[str, Any]
) -> None:
    tiny = tiny.model_copy(update=more)
    whole = train(clip_folder, tmp_path / "whole", tiny, False, "cpu", Silent())
    half = train(clip_folder, tmp_path / "parts", tiny, False, "cpu", StopAfter(2))
    assert half.step == 2
    resumed = train(clip_folder, tmp_path / "parts", tiny, True, "cpu", Silent())
    assert resumed.step == whole.step == 4
    assert (whole.encoder is not None) == bool(more)
    for (name, one), (_, other) in zip(whole.named(), resumed.named(), strict=True):
        torch.testing.assert_close(other, one, atol=0, rtol=0, msg=name)
        torch.testing.assert_close(resumed.average[name], whole.average[name], atol=0, rtol=0)
    assert (tmp_path / "whole" / LOG).read_text().startswith("step,loss")


def test_the_saved_model_is_the_average(clip_folder: Path, tiny: TrainingConfig, tmp_path: Path) -> None:
    done = train(clip_folder, tmp_path, tiny, False, "cpu", Silent())
    saved = SmallModel.from_pretrained(tmp_path / MODEL)
    for name, value in saved.named_parameters():
        torch.testing.assert_close(value, done.average[name], atol=0, rtol=0)
    with pytest.raises(SynthesisError, match="--resume"):
        train(clip_folder, tmp_path, tiny, False, "cpu", Silent())
    plot_curves(tmp_path / LOG, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    (tmp_path / STATE).write_bytes(b"broken")
    with pytest.raises(SynthesisError, match="not a state of this training"):
        train(clip_folder, tmp_path, tiny, True, "cpu", Silent())


def test_a_run_begins_with_the_weights_of_another(
    clip_folder: Path, tiny: TrainingConfig, tmp_path: Path
) -> None:
    first = train(clip_folder, tmp_path / "first", tiny, False, "cpu", Silent())
    guided = tiny.model_copy(update={"structure": True})
    second = begin(guided, "cpu", tmp_path / "first")
    assert second.step == 0
    for name, value in second.model.named_parameters():
        torch.testing.assert_close(value.detach(), first.average[name], atol=0, rtol=0)
    done = train(clip_folder, tmp_path / "second", guided, False, "cpu", Silent(), tmp_path / "first")
    third = begin(guided, "cpu", tmp_path / "second")
    assert done.encoder is not None
    assert third.encoder is not None
    for name, value in third.encoder.named_parameters():
        torch.testing.assert_close(value.detach(), done.average[f"encoder.{name}"], atol=0, rtol=0)


def test_points_project_to_the_pixels_they_come_from(example: Example) -> None:
    cloud = points_of(example)
    depth = example.reference_depth[:, 0, 0, ::POINT_STRIDE, ::POINT_STRIDE].flatten(1)
    count = depth.shape[1]
    local = torch.linalg.inv(example.reference_pose[:, 0]) @ torch.cat(
        [cloud.points[:, :count].double(), torch.ones(len(depth), count, 1).double()], -1
    ).transpose(1, 2)
    pixels = example.intrinsics @ local[:, :3]
    known = cloud.mask[:, :count]
    torch.testing.assert_close(known, depth > 0)
    torch.testing.assert_close(pixels[:, 2][known].float(), depth[known], atol=1e-4, rtol=0)
    width = -(-example.truth.shape[-1] // POINT_STRIDE)
    column = (torch.arange(count) % width * POINT_STRIDE).expand(len(depth), -1)
    torch.testing.assert_close(
        (pixels[:, 0] / pixels[:, 2])[known].float(), column[known].float(), atol=1e-3, rtol=0
    )


def test_noise_enters_where_something_is_unknown(example: Example) -> None:
    seen = observation_of(example)
    noisy, time = disturbed(seen, example.truth, torch.Generator().manual_seed(0))
    assert noisy.shape == seen.base.shape
    assert ((time >= 0) & (time <= 1)).all()
    truth = example.truth - cropped(seen.base, seen.margin)
    share = time.view(-1, 1, 1, 1, 1)
    off = (cropped(noisy, seen.margin) - (1 - share) * truth) / (share * NOISE)
    doubt = cropped(seen.uncertainty, seen.margin)
    holes = (doubt > 0.5).expand_as(off)
    assert float((off / doubt)[holes].std()) == pytest.approx(1.0, abs=0.05)
    assert (off[(doubt == 0).expand_as(off)].abs() < 1e-4).all()


def test_an_epoch_shows_every_clip_once(store: ClipStore) -> None:
    config = TrainingConfig(batch=2)
    clips = len(store)
    parts = [part for step in range(clips) for part in parts_of_step(store, config, step)]
    shown = [(clip, frames.start) for clip, frames in parts]
    first, second = shown[:clips], shown[clips:]
    assert sorted(clip for clip, _ in first) == list(range(clips))
    assert not set(first) & set(second)
    assert all(frames.stop - frames.start == 1 for _, frames in parts)
    whole = parts_of_step(store, TrainingConfig(batch=2, frames=8), 0)
    assert [frames for _, frames in whole] == [slice(0, store.frames)] * 2


def test_the_learning_rate_rises_then_falls() -> None:
    config = TrainingConfig(steps=1000, warm_up=100, learning_rate=1.0)
    assert rate(0, config) == pytest.approx(0.01, rel=1e-3)
    assert rate(100, config) > 0.95
    assert rate(999, config) == pytest.approx(0.02, rel=1e-3)


def test_the_structure_branch_can_begin_open_and_learn_faster(
    store: ClipStore, tiny: TrainingConfig
) -> None:
    config = tiny.model_copy(update={"structure": True, "structure_gate": 0.2, "structure_rate": 5.0})
    training = begin(config, "cpu")
    advance(training, store, config, Team("cpu"))
    rest, structure = training.optimiser.param_groups
    assert structure["lr"] == 5 * rest["lr"] == 5 * rate(0, config)
    named = dict(training.named())
    fast = {name for name, value in named.items() if any(value is each for each in structure["params"])}
    assert len(fast) + len(rest["params"]) == len(named)
    gates = {name for name in named if name.endswith(".gate")}
    assert gates <= fast
    assert {name for name in named if "structure" in name or "encoder." in name[:8]} <= fast
    outside = [name for name in fast - gates if not name.startswith("encoder.")]
    assert all("structure" in name for name in outside)
    fresh = begin(config, "cpu")
    for name, value in fresh.named():
        if name in gates:
            assert float(value.detach().tanh()) == pytest.approx(0.2)


def test_the_curves_are_there_for_tensorboard(
    clip_folder: Path, tiny: TrainingConfig, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard (of the extra `train`) is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(clip_folder, tmp_path, tiny, False, "cpu", Silent())
    curves = EventAccumulator(str(tmp_path / EVENTS)).Reload()
    row = dict(zip(*((tmp_path / LOG).read_text().split()[at].split(",") for at in (0, -1)), strict=True))
    for name in ("loss", "holes_db", "covered_db"):
        (only,) = curves.Scalars(name)
        assert only.step == int(row["step"]) == 4
        assert only.value == pytest.approx(float(row[name]), abs=1e-4)
