"""The small pipeline on a procedural room: saved, loaded by the user's call, filming, failing clearly."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from reconx_ros.camera import Camera
from reconx_ros.diffusion.config import SmallConfig, SynthesisConfig, TrustConfig
from reconx_ros.diffusion.small.export import export
from reconx_ros.diffusion.small.film import Film
from reconx_ros.diffusion.small.load import load_film
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.names import CURVES
from reconx_ros.diffusion.small.pipeline import ReconxPipeline
from reconx_ros.diffusion.small.points import PointEncoder
from reconx_ros.diffusion.small.synthesizer import WEIGHTS, SmallSynthesizer
from reconx_ros.diffusion.synthesis import Studio
from reconx_ros.diffusion.trust import cloud_of
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.progress import Silent
from reconx_ros.structure.conditioning_render import ConditioningRender
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

TINY = (8, 16, 16, 16)


def test_what_is_saved_is_loaded_by_the_same_call_a_user_makes(weights: Path) -> None:
    pipeline = ReconxPipeline.from_pretrained(weights, variant="fp16", low_cpu_mem_usage=False)
    assert isinstance(pipeline.model, SmallModel)
    assert isinstance(pipeline.structure_encoder, PointEncoder)
    torch.manual_seed(0)
    model = SmallModel(widths=TINY, structure_width=32)
    for name, value in model.named_parameters():
        saved = dict(pipeline.model.named_parameters())[name].detach().float()
        assert (saved - value).abs().max() < 0.5, name
    halves = list((weights / "model").glob("*.fp16.safetensors"))
    assert len(halves) == 1


@pytest.mark.parametrize("steps", [1, 3])
def test_filming_with_and_without_diffusers_is_the_same(
    weights: Path, views: list[Reference], steps: int
) -> None:
    pipeline = ReconxPipeline.from_pretrained(weights, variant="fp16", low_cpu_mem_usage=False)
    pipeline.model.float()
    pipeline.structure_encoder.float()
    asked = (views[:2], [views[2].camera.resized(64, 48)], cloud_of(views))
    one, other = (film(*asked, steps=steps, seed=3) for film in (pipeline, load_film(weights)))
    for part in ("frames", "deviation", "depth", "covered"):
        torch.testing.assert_close(getattr(one, part), getattr(other, part), atol=0, rtol=0)


def test_wide_frames_are_sampled_too(weights: Path, views: list[Reference]) -> None:
    """Of 192 pixels across: margins are wider than the network makes use of."""
    camera = views[2].camera.resized(192, 144)
    film = load_film(weights)(views[:2], [camera], cloud_of(views), steps=2)
    assert film.frames.shape == (1, 3, 144, 192)
    assert film.depth.shape == film.deviation.shape == (1, 1, 144, 192)


def test_a_map_is_filmed_without_importing_diffusers() -> None:
    """Its import takes longer than filming, and memory."""
    script = """if True:
        import sys
        from reconx_ros.diffusion.choose import contenders
        from reconx_ros.diffusion.config import SynthesisConfig
        assert len(contenders(SynthesisConfig(), "cpu")[0]) == 2
        print({"diffusers", "transformers"} & {*sys.modules})
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_weights_do_not_say_whose_disk_they_come_from(weights: Path) -> None:
    for folder in (weights, WEIGHTS):
        for file in folder.rglob("*.json"):
            assert "_name_or_path" not in file.read_text(), file


def test_the_shipped_weights_are_small_and_load_by_default() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) < 25e6
    shipped = SmallSynthesizer.load(SmallConfig(), "cpu")
    assert shipped.name == "small"
    assert {"small", "push-pull"} <= set(shipped.curves)
    assert (WEIGHTS / "README.md").read_text().startswith("---")


def test_a_filmed_keyframe_is_the_keyframe_where_it_is_seen(
    config: SmallConfig, views: list[Reference]
) -> None:
    fill = SmallSynthesizer.load(config, "cpu").unlearned()
    (frame,) = fill.generate(views, cloud_of(views), Trajectory((views[2].camera,)), Silent())
    error = np.abs(frame.image.astype(float) - views[2].image)[frame.seen]
    assert frame.seen.mean() > 0.9
    assert np.median(error) < 6
    known = np.isfinite(views[2].depth) & frame.seen
    assert np.median(np.abs(frame.depth[known] / views[2].depth[known] - 1)) < 0.01


def test_every_reference_is_a_real_view_however_few_a_frame_is_filmed_from(
    config: SmallConfig, walk: list[Reference]
) -> None:
    """Filmed from one of six: a reference's own camera gives its picture, and all six say what is seen."""
    fill = SmallSynthesizer.load(config.model_copy(update={"references": 1}), "cpu").unlearned()
    assert len(walk) == 7
    six, new = walk[:6], walk[6].camera
    for each in six:
        (frame,) = fill.generate(six, cloud_of(six), Trajectory((each.camera,)), Silent())
        np.testing.assert_array_equal(frame.image, each.image)
        assert frame.seen.all()
    (frame,) = fill.generate(six, cloud_of(six), Trajectory((new,)), Silent())
    alone = [fill.generate([each], cloud_of([each]), Trajectory((new,)), Silent())[0].seen for each in six]
    np.testing.assert_array_equal(frame.seen, np.any(alone, axis=0))
    assert frame.seen.mean() > max(each.mean() for each in alone) + 0.01


class Counting(Film):
    """Notes how many frames it films."""

    filmed: ClassVar[list[int]] = []

    def _render(
        self, references: Sequence[Reference], cameras: Sequence[Camera]
    ) -> tuple[ConditioningRender, ConditioningRender]:
        self.filmed.append(len(cameras))
        return super()._render(references, cameras)


def test_what_a_reference_has_taken_is_not_filmed(config: SmallConfig, views: list[Reference]) -> None:
    """It is that reference, and what is filmed beside it is what is filmed alone, of one frame."""
    plain = SmallSynthesizer.load(config, "cpu").unlearned()
    film = Counting(plain.film.network, plain.film.encoder, plain.film.scheduler)
    path = Trajectory((views[0].camera, views[2].camera, views[1].camera))
    first, middle, last = replace(plain, film=film).generate(views[:2], cloud_of(views), path, Silent())
    assert film.filmed == [1]
    for frame, view in ((first, views[0]), (last, views[1])):
        np.testing.assert_array_equal(frame.image, view.image)
        np.testing.assert_array_equal(frame.depth, view.depth)
        assert frame.seen.all()
    alone = plain.generate(views[:2], cloud_of(views), Trajectory((views[2].camera,)), Silent())
    np.testing.assert_array_equal(middle.image, alone[0].image)
    np.testing.assert_array_equal(middle.confidence, alone[0].confidence)


def test_frames_keep_their_pose_and_are_least_certain_in_holes(
    config: SmallConfig, views: list[Reference]
) -> None:
    both = views[:2]
    fill = SmallSynthesizer.load(config, "cpu").unlearned()
    cameras = tuple(each.camera for each in views[2:])
    frames = fill.generate(both, cloud_of(both), Trajectory(cameras), Silent())
    assert len(frames) == len(cameras)
    for frame, camera in zip(frames, cameras, strict=True):
        np.testing.assert_array_equal(frame.camera.world_from_camera, camera.world_from_camera)
        assert frame.image.shape == (48, 64, 3)
        assert frame.confidence.max() < 1
        if 0.05 < frame.seen.mean() < 0.95:
            assert frame.confidence[~frame.seen].mean() < frame.confidence[frame.seen].mean() - 0.1


def test_a_frame_teaches_nothing_far_from_what_a_keyframe_shows(
    config: SmallConfig, views: list[Reference]
) -> None:
    camera, both = views[2].camera, views[:2]
    half = [replace(each, depth=np.where(np.arange(64) < 20, each.depth, np.nan)) for each in both]
    far, near = (
        SmallSynthesizer.load(config.model_copy(update={"reach": reach}), "cpu")
        .unlearned()
        .generate(half, cloud_of(half), Trajectory((camera,)), Silent())[0]
        for reach in (1.0, 0.1)
    )
    assert far.confidence.min() > 0
    rows, columns = np.indices(near.seen.shape)
    shown = np.argwhere(near.seen)
    away = np.hypot(rows[..., None] - shown[:, 0], columns[..., None] - shown[:, 1]).min(-1)
    beyond = away > 0.1 * 64 + 0.5  # chamfer distances are off by a few per cent
    assert beyond.mean() > 0.2
    assert (near.confidence[beyond] == 0).all()
    within = away < 0.1 * 64 - 0.5
    np.testing.assert_array_equal(near.confidence[within], far.confidence[within])


def test_the_same_seed_gives_the_same_frames_and_few_steps_differ(
    config: SmallConfig, views: list[Reference]
) -> None:
    flowing = config.model_copy(update={"steps": 4, "samples": 2})
    path = Trajectory((views[2].camera,))
    shots = []
    for each in (config, flowing, flowing, flowing.model_copy(update={"seed": 1})):
        one = SmallSynthesizer.load(each, "cpu")
        shots += one.generate(views[:2], cloud_of(views[:2]), path, Silent())
    np.testing.assert_array_equal(shots[1].image, shots[2].image)
    assert (shots[0].image != shots[1].image).any()
    assert (shots[3].image != shots[1].image).any()


def test_a_narrow_frame_is_never_wider_than_the_camera(config: SmallConfig, views: list[Reference]) -> None:
    wide = SmallSynthesizer.load(config.model_copy(update={"width": 512}), "cpu").unlearned()
    (frame,) = wide.generate(views[:2], cloud_of(views[:2]), Trajectory((views[2].camera,)), Silent())
    assert (frame.camera.width, frame.camera.height) == (64, 48)
    narrow = SmallSynthesizer.load(config.model_copy(update={"width": 32}), "cpu").unlearned()
    (frame,) = narrow.generate(views[:2], cloud_of(views[:2]), Trajectory((views[2].camera,)), Silent())
    assert frame.image.shape == (24, 32, 3)
    assert frame.camera.intrinsics[0, 0] == pytest.approx(views[2].camera.intrinsics[0, 0] / 2)


def test_cancelling_and_a_view_of_nothing_give_no_frames(
    config: SmallConfig, views: list[Reference]
) -> None:
    synthesizer = SmallSynthesizer.load(config, "cpu")

    class Cancelled(Silent):
        def cancelled(self) -> bool:
            return True

    path = Trajectory((views[2].camera,))
    assert synthesizer.generate(views[:2], cloud_of(views[:2]), path, Cancelled()) == ()
    assert replace(synthesizer, seconds=-1.0).generate(views[:2], cloud_of(views), path, Silent()) == ()
    away = views[2].camera.moved(views[2].camera.world_from_camera @ np.diag([-1.0, 1, -1, 1]))
    assert synthesizer.generate(views[:2], cloud_of(views), Trajectory((away,)), Silent()) == ()


def test_damaged_foreign_and_missing_weights_are_said_in_one_line(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="no readable small model"):
        SmallSynthesizer.load(SmallConfig(weights=tmp_path), "cpu")
    broken = tmp_path / "broken"
    shutil.copytree(weights, broken)
    file = next((broken / "model").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(SynthesisError, match="no readable small model"):
        SmallSynthesizer.load(SmallConfig(weights=broken), "cpu")
    nan = tmp_path / "nan"
    torch.manual_seed(0)
    model = SmallModel(widths=TINY, structure_width=32)
    model.head.bias.data[:] = torch.nan
    export(model, None, nan)
    shutil.copy(weights / CURVES, nan / CURVES)
    damaged = SmallSynthesizer.load(SmallConfig(weights=nan, width=64), "cpu")
    assert damaged.film.encoder is None


def test_nan_is_an_error_and_the_observed_map_goes_on(
    weights: Path, views: list[Reference], tmp_path: Path
) -> None:
    folder = tmp_path / "nan"
    model = SmallModel(widths=TINY, structure_width=32)
    model.head.bias.data[:] = torch.nan
    export(model, None, folder)
    shutil.copy(weights / CURVES, folder / CURVES)
    damaged = SmallSynthesizer.load(SmallConfig(weights=folder, width=64), "cpu")
    with pytest.raises(SynthesisError, match="NaN"):
        damaged.generate(views[:2], cloud_of(views[:2]), Trajectory((views[2].camera,)), Silent())


def test_what_cannot_be_filmed_leaves_the_observed_map_and_says_why(
    tmp_path: Path, views: list[Reference]
) -> None:
    studio = Studio(SynthesisConfig(small=SmallConfig(weights=tmp_path)), "cpu")
    for references, path, reason in (
        (views[:2], Trajectory(()), "no path"),
        ([], Trajectory((views[2].camera,)), "no view with depth"),
        (views[:2], Trajectory((views[2].camera,)), "no readable small model"),
    ):
        done = studio.film(references, cloud_of_nothing(), path, Silent())
        assert done.frames == ()
        assert done.name == "none"
        assert reason in done.report["reason"]


def cloud_of_nothing() -> PointCloud:
    rows = np.zeros((0, 3), np.float32)
    single = np.zeros(0, np.float32)
    return PointCloud(
        rows, rows.astype(np.uint8), rows, single, single.astype(np.uint8), single.astype(np.int32)
    )


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_frames_keep_to_the_map_so_far(
    config: SmallConfig, views: list[Reference], strength: float
) -> None:
    """A map that is red on the left, and says nothing on the right."""
    red = np.array([0.8, 0.1, 0.2], np.float32)

    def scene(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        alpha = np.zeros((camera.height, camera.width), np.float32)
        alpha[:, : camera.width // 2] = 1.0
        return alpha[..., None] * red, alpha

    plain = SmallSynthesizer.load(config.model_copy(update={"grounding": strength}), "cpu")
    asked = (views[:2], cloud_of(views), Trajectory((views[2].camera,)), Silent())
    (alone,), (kept,) = plain.generate(*asked), plain.grounded(scene).generate(*asked)
    half = kept.image.shape[1] // 2
    assert np.array_equal(alone.image[:, half:], kept.image[:, half:])
    expected = alone.image[:, :half] * (1 - strength) + 255 * red * strength
    assert np.abs(kept.image[:, :half] - expected).max() <= 1.5


def test_a_studio_hands_the_map_on(config: SmallConfig, views: list[Reference]) -> None:
    kept = config.model_copy(update={"grounding": 1.0})
    studio = Studio(SynthesisConfig(small=kept, method="small", trust=TrustConfig(keyframes=0)), "cpu")
    size = (views[2].camera.height, views[2].camera.width)

    def white(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        alpha = np.ones((camera.height, camera.width), np.float32)
        return alpha[..., None].repeat(3, -1), alpha

    path = Trajectory((views[2].camera,))
    (frame,) = studio.film(views[:2], cloud_of(views), path, Silent(), white).frames
    assert frame.image.shape[:2] == size
    assert frame.image.min() == 255
