import shutil
import warnings
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reconx_ros.diffusion.trust import Trial
from reconx_ros.diffusion.wan.film import Film
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.structure_weights import save_structure
from reconx_ros.diffusion.wan.studio import open_film
from reconx_ros.diffusion.wan.synthesizer import WanVaceSynthesizer
from reconx_ros.errors import SynthesisError
from reconx_ros.progress import Silent
from reconx_ros.structure.encoder import EncoderConfig
from reconx_ros.structure.trajectory import Trajectory

from .tiny import HEIGHT, WIDTH, camera, clip, cloud_of, config, nowhere, reference, scene

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


class Watch(Silent):
    """Notes what it is told; cancels after so many reports."""

    def __init__(self, cancel_after: int = 1_000_000) -> None:
        self.told: list[tuple[str, int, int, str]] = []
        self.left = cancel_after

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.told.append((stage, done, total, note))

    def cancelled(self) -> bool:
        return len(self.told) >= self.left


def test_films_a_path_between_two_views(synthesizer: WanVaceSynthesizer) -> None:
    references, cloud, path = scene(7)
    watch = Watch()
    frames = synthesizer.generate(references[:1], cloud, path, watch)
    assert [frame.camera for frame in frames] == list(path.cameras)
    for number, frame in enumerate(frames):
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert frame.confidence.dtype == frame.depth.dtype == np.float32
        assert ((frame.confidence > 0) & (frame.confidence < 1)).all()
        assert np.isfinite(frame.depth).all()
        truth = reference(frame.camera)
        right = np.abs(frame.depth - truth.depth)[frame.seen] < 0.1
        assert right.mean() > 0.9, number
    assert np.array_equal(frames[0].image, references[0].image)
    assert frames[0].seen.all()
    assert frames[0].confidence.min() > 0.95
    assert [told[1] for told in watch.told] == [1, 2, 3, 4]
    assert watch.told[-1] == ("synthesis", 4, 4, "window 2/2")


def test_what_views_show_is_shown_as_they_show_it(synthesizer: WanVaceSynthesizer) -> None:
    references, cloud, path = scene(5)
    frame = synthesizer.generate(references[:1], nowhere(cloud), path, Silent())[2]
    truth = reference(frame.camera)
    hole = ~frame.seen
    assert 0.03 < hole.mean() < 0.5
    inside = frame.seen & (np.abs(frame.depth - truth.depth) < 0.05)
    inside[:, 1:-1] &= frame.seen[:, 2:] & frame.seen[:, :-2]
    away = np.abs(frame.image.astype(float) - truth.image).mean(-1)
    assert np.median(away[inside]) < 6
    assert np.median(away[hole]) > 12  # nothing was ever learned
    assert frame.confidence[hole].mean() < frame.confidence[inside].mean()


def test_the_same_seed_films_the_same(synthesizer: WanVaceSynthesizer) -> None:
    references, cloud, path = scene(5)
    first, again = (synthesizer.generate(references[:1], nowhere(cloud), path, Silent()) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.image, two.image)
        assert np.array_equal(one.confidence, two.confidence)


@pytest.mark.parametrize("count", [1, 3])
def test_short_clips_are_padded_and_cut(synthesizer: WanVaceSynthesizer, count: int) -> None:
    references, cloud, _ = scene(5)
    cameras = tuple(camera(0.1 * number) for number in range(count))
    frames = synthesizer.generate(references, cloud, Trajectory(cameras), Silent())
    assert [frame.camera for frame in frames] == list(cameras)


def test_clips_that_meet_share_a_frame(synthesizer: WanVaceSynthesizer) -> None:
    """Each frame comes once, and the later clip begins where the earlier one ended."""
    references, cloud, path = scene(9)
    apart = Trajectory(path.cameras, (clip(0, 5), clip(4, 9)))
    watch = Watch()
    frames = synthesizer.generate(references[:1], nowhere(cloud), apart, watch)
    assert [frame.camera for frame in frames] == list(path.cameras)
    assert watch.told[-1][3] == "window 2/2"
    alone = synthesizer.generate(references[:1], nowhere(cloud), Trajectory(path.cameras[4:]), Silent())
    assert not np.array_equal(alone[0].image, frames[4].image)
    first = synthesizer.generate(references[:1], nowhere(cloud), Trajectory(path.cameras[:5]), Silent())
    assert np.array_equal(first[4].image, frames[4].image)


def test_nothing_is_filmed_where_no_view_shows_anything(synthesizer: WanVaceSynthesizer) -> None:
    references, cloud, path = scene(5)
    behind = np.diag([-1.0, 1, -1, 1])
    away = Trajectory(tuple(each.moved(behind @ each.world_from_camera) for each in path.cameras))
    assert synthesizer.generate(references, nowhere(cloud), away, Silent()) == ()
    assert synthesizer.generate(references, cloud, Trajectory(()), Silent()) == ()
    assert synthesizer.generate([], cloud, path, Silent()) == ()


def test_stopped_it_returns_the_windows_that_are_complete(synthesizer: WanVaceSynthesizer) -> None:
    references, cloud, path = scene(11)
    whole = synthesizer.generate(references[:1], cloud, path, Silent())
    assert synthesizer.generate(references[:1], cloud, path, Watch(cancel_after=1)) == ()
    part = synthesizer.generate(references[:1], cloud, path, Watch(cancel_after=3))
    assert len(part) == 5
    for one, two in zip(part[:4], whole, strict=False):
        assert np.array_equal(one.image, two.image)


class Late(Watch):
    """Lets the clock strike after so many reports."""

    def __init__(self, late_after: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        now = lambda: 1e9 if len(self.told) >= late_after else 0.0  # noqa: E731
        monkeypatch.setattr("reconx_ros.diffusion.wan.synthesizer.monotonic", now)


def test_time_over_ends_the_filming_at_the_next_step(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references, cloud, path = scene(11)
    timed = WanVaceSynthesizer.load(config(folder, cache, steps=3), "cpu", seconds=60)
    for late_after, reports, frames in ((4, 4, 5), (3, 3, 5), (5, 5, 5), (6, 6, 8)):
        watch = Late(late_after, monkeypatch)
        assert len(timed.generate(references[:1], cloud, path, watch)) == frames
        assert len(watch.told) == reports
    for late_after in (1, 2):
        watch = Late(late_after, monkeypatch)
        with pytest.raises(
            SynthesisError, match=rf"no window within 60 s .*did {late_after} of 9 steps.*raise"
        ):
            timed.generate(references[:1], cloud, path, watch)
        assert len(watch.told) == late_after
    assert timed.generate(references[:1], cloud, path, Watch(cancel_after=1)) == ()


def test_samples_that_time_allows_are_used(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references, cloud, path = scene(5)
    many = WanVaceSynthesizer.load(config(folder, cache, samples=3), "cpu", seconds=60)
    watch = Late(3, monkeypatch)
    assert len(many.generate(references[:1], cloud, path, watch)) == 5
    assert len(watch.told) == 3


def test_samples_that_disagree_lower_confidence_in_holes(
    synthesizer: WanVaceSynthesizer, folder: Path, cache: Path
) -> None:
    references, cloud, path = scene(5)
    many = WanVaceSynthesizer.load(config(folder, cache, samples=3), "cpu")
    watch = Watch()
    one = synthesizer.generate(references[:1], nowhere(cloud), path, Silent())[3]
    three = many.generate(references[:1], nowhere(cloud), path, watch)[3]
    assert watch.told[-1][1:3] == (6, 6)
    assert np.array_equal(one.image, three.image)
    hole = ~one.seen
    assert (three.confidence[hole] <= one.confidence[hole] + 1e-6).all()
    assert three.confidence[hole].mean() < one.confidence[hole].mean()


def test_confidence_follows_what_was_found(synthesizer: WanVaceSynthesizer) -> None:
    references, cloud, path = scene(5)
    frame = synthesizer.generate(references[:1], nowhere(cloud), path, Silent())[2]
    said = frame.confidence.ravel()
    right = np.random.default_rng(0).random(len(said)) < 0.2
    humbled = synthesizer.believed(said, right).generate(references[:1], nowhere(cloud), path, Silent())[2]
    assert humbled.confidence.mean() == pytest.approx(right.mean(), abs=0.03)
    assert np.array_equal(humbled.image, frame.image)


def test_structure_weights_change_what_is_filmed(
    synthesizer: WanVaceSynthesizer, folder: Path, cache: Path, tmp_path: Path
) -> None:
    references, _, path = scene(5)
    cloud = cloud_of(references[:1])
    plain = synthesizer.generate(references[:1], cloud, path, Silent())[2]
    small = EncoderConfig(tokens=8, width=16, heads=2, frequencies=3)
    torch.manual_seed(2)
    branch = StructureBranch(small, 24, 3).requires_grad_(False)
    images = []
    for gate in (0.0, 1.0):
        for each in branch.attentions:
            each.gate.weight.fill_(gate)
        save_structure(branch, tmp_path / "structure.safetensors")
        how = config(folder, cache, structure=tmp_path / "structure.safetensors")
        frames = WanVaceSynthesizer.load(how, "cpu").generate(references[:1], cloud, path, Silent())
        images.append(frames[2].image)
    assert np.array_equal(images[0], plain.image)
    assert not np.array_equal(images[1], plain.image)


def test_a_contest_can_measure_it(synthesizer: WanVaceSynthesizer, trial: Callable[..., Trial]) -> None:
    path = scene(5)[2]
    views = [reference(path.cameras[number]) for number in (0, 2, 4)]
    found = trial(synthesizer, views, 3, Silent())
    assert list(found.looks) == [0, 1, 2]
    for each in found.looks.values():
        assert each.covered_db > 20  # the render is put back


def overflowing(folder: Path, to: Path, times: float) -> Path:
    shutil.copytree(folder, to)
    tensors = load_file(to / WEIGHTS)
    tensors["proj_out.weight"] *= times
    save_file(tensors, to / WEIGHTS)
    return to


def test_an_overflow_of_half_precision_is_filmed_again_in_fp32(
    folder: Path, cache: Path, tmp_path: Path
) -> None:
    model = overflowing(folder, tmp_path / "model", 1e6)
    references, cloud, path = scene(5)
    half = WanVaceSynthesizer.load(config(model, cache, dtype="fp16"), "cpu")
    with pytest.warns(RuntimeWarning, match=r"NaN in fp16 \(not finite after step 1\); going on in fp32"):
        frames = half.generate(references[:1], cloud, path, Silent())
    assert len(frames) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(half.generate(references[:1], cloud, path, Silent())) == 5


def test_fp32_takes_the_place_of_half_precision_for_all_and_once(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a contest corrected shares the weights: they are loaded once more, with the old ones gone."""
    model = overflowing(folder, tmp_path / "model", 1e6)
    references, cloud, path = scene(5)
    half = WanVaceSynthesizer.load(config(model, cache, dtype="fp16"), "cpu")
    other = half.believed(np.full(1000, 0.5, np.float32), np.ones(1000, np.bool_))
    old, found = weakref.ref(half._loaded.film.pipeline.transformer), []

    def opened(*arguments: object) -> Film:
        found.append(old())
        return open_film(*arguments)

    monkeypatch.setattr("reconx_ros.diffusion.wan.loaded.open_film", opened)
    with pytest.warns(RuntimeWarning, match="going on in fp32"):
        half.generate(references[:1], cloud, path, Silent())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(other.generate(references[:1], cloud, path, Silent())) == 5
    assert found == [None]


def test_where_fp32_cannot_be_loaded_every_call_says_so(folder: Path, cache: Path, tmp_path: Path) -> None:
    model = overflowing(folder, tmp_path / "model", 1e6)
    references, cloud, path = scene(5)
    half = WanVaceSynthesizer.load(config(model, cache, dtype="fp16"), "cpu")
    (model / WEIGHTS).rename(tmp_path / "away")
    with (
        pytest.warns(RuntimeWarning, match="going on in fp32"),
        pytest.raises(
            SynthesisError, match=r"NaN in fp16 .*in fp32 it cannot be loaded: .*no \.safetensors"
        ),
    ):
        half.generate(references[:1], cloud, path, Silent())
    with pytest.raises(SynthesisError, match=r"no \.safetensors"):
        half.generate(references[:1], cloud, path, Silent())
    (tmp_path / "away").rename(model / WEIGHTS)
    with pytest.warns(RuntimeWarning, match="NaN in fp16 .*going on in fp32"):
        assert len(half.generate(references[:1], cloud, path, Silent())) == 5


def test_nan_in_fp32_is_an_error(folder: Path, cache: Path, tmp_path: Path) -> None:
    model = overflowing(folder, tmp_path / "model", float("nan"))
    references, cloud, path = scene(5)
    broken = WanVaceSynthesizer.load(config(model, cache), "cpu")
    with pytest.raises(SynthesisError, match=r"NaN in fp32 .*weights in .* are damaged"):
        broken.generate(references[:1], cloud, path, Silent())


def test_no_room_for_a_huge_film_is_said(folder: Path, cache: Path) -> None:
    references, cloud, path = scene(5)
    huge = WanVaceSynthesizer.load(config(folder, cache, pixels=10**15), "cpu")
    with pytest.raises(SynthesisError, match=r"out of memory filming 5 frames of 10{15} pixels"):
        huge.generate([replace(each) for each in references[:1]], cloud, path, Silent())
