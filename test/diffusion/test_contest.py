"""The contest between synthesizers: what is compared, who is dropped, and when it ends."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.diffusion import choose as who
from reconx_ros.diffusion.choose import contenders
from reconx_ros.diffusion.config import SmallConfig, SynthesisConfig, TrustConfig
from reconx_ros.diffusion.contest import choose
from reconx_ros.diffusion.look import Look
from reconx_ros.diffusion.nobody import Nobody
from reconx_ros.diffusion.protocol import Scene
from reconx_ros.diffusion.small.export import export
from reconx_ros.diffusion.small.film import Film, FilmOutput
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.names import CURVES
from reconx_ros.diffusion.small.synthesizer import SmallSynthesizer
from reconx_ros.diffusion.synthesis import Studio, Synthesis
from reconx_ros.diffusion.trust import Trial, cloud_of, gain, mixed_gain
from reconx_ros.errors import SynthesisError
from reconx_ros.progress import Silent, Until
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

TINY = (8, 16, 16, 16)


@pytest.fixture
def damaged(weights: Path, tmp_path: Path) -> SmallConfig:
    """A model that can be loaded and gives NaN; its fill is good."""
    folder = tmp_path / "nan"
    model = SmallModel(widths=TINY, structure_width=32)
    model.head.bias.data[:] = torch.nan
    export(model, None, folder)
    shutil.copy(weights / CURVES, folder / CURVES)
    return SmallConfig(weights=folder, width=64, bf16=False)


def test_the_trial_measures_holes_and_covered_pixels(
    config: SmallConfig, views: list[Reference], trial: Callable[..., Trial]
) -> None:
    fill = SmallSynthesizer.load(config, "cpu").unlearned()
    found = trial(fill, views, 4, Silent())
    assert list(found.looks) == [0, 1, 2, 3]
    assert len(found.right) == len(found.confidence) > 0
    figures = found.json()
    assert figures["keyframes"] == 4
    assert figures["covered_db"] > 20
    squares = [np.square(e.off[e.seen]).mean() for e in found.looks.values()]
    mean = np.nanmean([-10 * np.log10(each + 1e-6) for each in squares])
    assert figures["covered_db"] == pytest.approx(mean, abs=0.01)


def test_a_contender_is_not_judged_where_it_says_nothing(
    config: SmallConfig, views: list[Reference], trial: Callable[..., Trial]
) -> None:
    short = config.model_copy(update={"reach": 0.03})
    near, far = (
        trial(SmallSynthesizer.load(each, "cpu").unlearned(), views, 4, Silent())
        for each in (short, config)
    )
    assert 0 < len(near.right) < len(far.right)
    assert near.confidence.min() > 0
    assert near.json()["covered_db"] == far.json()["covered_db"]


def test_contenders_are_compared_on_the_pixels_of_the_keyframes_that_both_speak_of() -> None:
    """One is judged far from what is known too, films at twice the size, and missed a keyframe."""

    def filmed(square: float, deep: float, says: slice, times: int = 1) -> Look:
        squares, confidence = np.full((24, 32), square, np.float32), np.zeros((24, 32), np.float32)
        squares[:, 16:], confidence[:, says] = deep, 0.5
        big = (np.repeat(np.repeat(each, times, 0), times, 1) for each in (squares, confidence))
        errors, said = big
        off = np.repeat(np.sqrt(errors)[..., None], 3, axis=-1)
        return Look(off, errors < 0.1, said, np.zeros_like(said, np.bool_))

    near, everywhere = slice(0, 16), slice(None)
    fill = Trial({at: filmed(0.01, 0.01, near) for at in (0, 2, 4)})
    bold = Trial({2: filmed(0.001, 0.3, everywhere, 2), 4: filmed(0.001, 0.3, everywhere, 2)})
    assert gain(bold, fill) == pytest.approx(10, abs=0.01)
    assert gain(fill, bold) == pytest.approx(-10, abs=0.01)
    assert bold.json()["holes_db"] == pytest.approx(8.2, abs=0.1)
    assert gain(Trial(), fill) is gain(fill, Trial()) is None


def test_what_errs_the_other_way_helps_though_it_is_worse_alone() -> None:
    """Also at another size, and only where the map shows something."""

    def filmed(off: float, height: int, says: slice) -> Trial:
        size = (height, height * 4 // 3)
        confidence = np.zeros(size, np.float32)
        confidence[:, says] = 1
        looked = Look(np.full((*size, 3), off, np.float32), confidence > 2, confidence, confidence > 2)
        return Trial({1: looked})

    shown = filmed(0.1, 24, slice(0, 16))
    other, same = (filmed(off, 48, slice(None)) for off in (-0.15, 0.15))
    assert gain(other, shown) == gain(same, shown) == pytest.approx(-3.52, abs=0.01)
    assert mixed_gain(other, shown) == pytest.approx(20 * np.log10(0.1 / 0.025), abs=0.01)
    assert mixed_gain(same, shown) == pytest.approx(20 * np.log10(0.1 / 0.125), abs=0.01)
    assert mixed_gain(other, filmed(0.1, 24, slice(0, 1))) is None


def test_a_prior_that_helps_nothing_here_is_not_used(config: SmallConfig, views: list[Reference]) -> None:
    auto = SynthesisConfig(small=config, trust=TrustConfig(keyframes=4))
    # Random weights make every hole worse than the fill they start from.
    running, _ = contenders(auto, "cpu")
    chosen, report = choose(running, views, auto, Silent())
    assert chosen.name == "push-pull"
    assert set(report["contest"]) == {"small", "push-pull"}
    small, _ = contenders(auto.model_copy(update={"method": "small"}), "cpu")
    fixed, _ = choose(small, views, auto, Silent())
    assert fixed.name == "small"
    nobody, why = choose(running, views[:1], auto, Silent())
    assert nobody.name == "none"
    assert "one view" in why["reason"]


def drawn(
    views: Sequence[Reference], alpha: float, wrong: int, noise: float
) -> Callable[[Sequence[Reference]], Scene]:
    """Return a map that shows every view as it was taken, or with its colours ``wrong`` or noisy."""
    errors = np.random.default_rng(0).normal(0, noise, (48, 64, 3)).astype(np.float32)

    def scene(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        true = next(e for e in views if (e.camera.world_from_camera == camera.world_from_camera).all())
        image = np.roll(true.resized(camera.height, camera.width).image, wrong, axis=(0, 1))
        opaque = np.full(image.shape[:2], alpha, np.float32)
        return (alpha * (image / 255 + errors)).clip(0, 1).astype(np.float32), opaque

    return lambda references: scene


def test_nobody_films_where_the_map_shows_better_what_it_guesses(
    config: SmallConfig, views: list[Reference]
) -> None:
    path = Trajectory((views[2].camera,))
    auto = SynthesisConfig(small=config)

    def filmed(alpha: float, wrong: int, how: SynthesisConfig = auto, noise: float = 0) -> Synthesis:
        studio = Studio(how, "cpu", drawn(views, alpha, wrong, noise))
        return studio.film(views[:3], cloud_of(views[:3]), path, Silent())

    harmful, helpful, silent = filmed(1, 0), filmed(1, 24), filmed(0.4, 0)
    assert (harmful.name, harmful.frames) == ("none", ())
    assert harmful.report["contest"]["push-pull"]["over_none_db"] < -10
    assert re.search(r"none: the map is [0-9.]+ dB worse with push-pull mixed in", harmful.summary)
    assert len(helpful.frames) == len(silent.frames) == 1
    assert helpful.report["contest"]["push-pull"]["over_none_db"] > 1
    assert silent.report["contest"]["push-pull"]["over_none_db"] is None
    unlike = filmed(1, 0, noise=0.03)
    assert unlike.report["contest"]["push-pull"]["over_none_db"] < -0.5
    assert unlike.report["contest"]["push-pull"]["mixed_db"] > 0.5
    assert len(unlike.frames) == 1
    asked_for = filmed(1, 0, SynthesisConfig(small=config, method="push-pull"))
    assert asked_for.name == "push-pull"


def test_nobody_shows_the_map_over_the_mean_colour_and_speaks_of_what_it_shows(
    views: list[Reference],
) -> None:
    half = np.arange(64) < 32

    def scene(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        alpha = np.broadcast_to(half, (camera.height, camera.width)).astype(np.float32)
        return alpha[..., None] * np.array([1, 0, 0], np.float32), alpha

    path = Trajectory((views[2].camera,))
    (frame,) = Nobody(lambda references: scene).generate(views[:2], cloud_of(views[:2]), path, Silent())
    assert (frame.image[:, half] == (255, 0, 0)).all()
    mean = np.mean([each.image for each in views[:2]], axis=(0, 1, 2))
    np.testing.assert_allclose(frame.image[:, ~half], np.broadcast_to(mean, (48, 32, 3)), atol=0.51)
    assert (frame.confidence == half).all()
    assert 0.2 < frame.seen.mean() < 1


def test_a_studio_asks_again_when_the_run_has_grown(config: SmallConfig, views: list[Reference]) -> None:
    studio = Studio(SynthesisConfig(small=config, trust=TrustConfig(keyframes=2)), "cpu")
    path = Trajectory((views[2].camera,))
    first = studio.film(views[:2], cloud_of(views[:2]), path, Silent())
    second = studio.film(views[:3], cloud_of(views[:3]), path, Silent())
    third = studio.film(views, cloud_of(views), path, Silent())
    assert len(first.frames) == len(second.frames) == len(third.frames) == 1
    assert first.report is second.report
    assert third.report is not first.report


def test_a_run_too_short_to_adapt_to_says_so(config: SmallConfig, views: list[Reference]) -> None:
    trust = TrustConfig(keyframes=2)
    studio = Studio(SynthesisConfig(small=config, trust=trust, adapt_seconds=0.1), "cpu")
    path = Trajectory((views[2].camera,))
    done = studio.film(views[:2], cloud_of(views[:2]), path, Silent())
    assert len(done.frames) == 1
    assert "synthesis.trust.keyframes" in done.report["not_asked"]["small-adapted"]
    assert "small-adapted not asked: nothing to learn from" in done.summary
    longer = studio.film(views, cloud_of(views), path, Silent())
    assert "small-adapted" in longer.report["contest"]
    assert "not_asked" not in longer.report


@pytest.mark.parametrize("keyframes", [2, 0])
def test_one_that_fails_is_dropped_and_named_and_the_others_film(
    damaged: SmallConfig, views: list[Reference], keyframes: int
) -> None:
    """In the contest, and, where there is none, while it films."""
    studio = Studio(SynthesisConfig(small=damaged, trust=TrustConfig(keyframes=keyframes)), "cpu")
    path = Trajectory((views[2].camera,))
    done = studio.film(views[:2], cloud_of(views[:2]), path, Silent())
    assert done.name == "push-pull"
    assert len(done.frames) == 1
    assert "NaN" in done.report["failed"]["small"]
    assert "small failed: the model gave NaN" in done.summary
    studio.forget()
    again = studio.film(views[:2], cloud_of(views[:2]), path, Silent())
    assert "NaN" in again.report["failed"]["small"]
    alone = Studio(SynthesisConfig(method="small", small=damaged), "cpu")
    assert "NaN" in alone.film(views[:2], cloud_of(views[:2]), path, Silent()).report["reason"]


def test_wan_that_cannot_be_loaded_leaves_the_others(
    config: SmallConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(who, "not_asked", lambda config, device: {})  # as on a GPU
    auto = SynthesisConfig(small=config)
    auto = auto.model_copy(update={"wan": auto.wan.model_copy(update={"model": str(tmp_path)})})
    running, absent = contenders(auto, "cpu")
    assert [each.name for each in running] == ["small", "push-pull"]
    assert str(tmp_path) in absent["wan-vace"]


class Greedy(Film):
    """Asks torch for more memory than there is."""

    def __call__(  # type: ignore[override]
        self, references: Sequence[Reference], cameras: Sequence[Camera], *_: object, **__: object
    ) -> FilmOutput | None:
        torch.empty(1 << 60)
        return None


def test_too_little_memory_on_the_cpu_is_an_error_that_names_the_setting(
    config: SmallConfig, views: list[Reference]
) -> None:
    plain = SmallSynthesizer.load(config, "cpu")
    film = Greedy(plain.film.network, plain.film.encoder, plain.film.scheduler)
    with pytest.raises(SynthesisError, match=r"out of memory.*synthesis\.small\.width"):
        replace(plain, film=film).generate(
            views[:2], cloud_of(views), Trajectory((views[2].camera,)), Silent()
        )


class CancelsAfter(Silent):
    """Cancelled from some question on."""

    def __init__(self, questions: int) -> None:
        self.questions = questions

    def cancelled(self) -> bool:
        self.questions -= 1
        return self.questions < 0


def test_a_contender_can_be_stopped_while_it_films_a_keyframe(
    config: SmallConfig, views: list[Reference], trial: Callable[..., Trial]
) -> None:
    slow = SmallSynthesizer.load(config.model_copy(update={"steps": 50}), "cpu")
    progress = CancelsAfter(4)
    assert trial(slow, views, 1, progress).looks == {}
    assert -4 <= progress.questions < 0


def test_contest_and_filming_share_one_time(config: SmallConfig, views: list[Reference]) -> None:
    studio = Studio(SynthesisConfig(small=config, seconds=1e-6), "cpu")
    studio.load()
    done = studio.film(views[:2], cloud_of(views), Trajectory((views[2].camera,)), Silent())
    assert done.frames == ()
    assert "completed nothing within the 1e-06 s" in done.report["reason"]
    assert {row["keyframes"] for row in done.report["contest"].values()} == {0}
    late, soon = Until(CancelsAfter(1), 0.0), Until(CancelsAfter(1), float("inf"))
    assert late.cancelled()
    assert not soon.cancelled()
    assert soon.cancelled()
