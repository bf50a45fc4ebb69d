"""What a user configures: who films, and clips of a length that a video model can do something with."""

from pathlib import Path

from reconx_ros.diffusion.choose import not_asked, wan_may_film
from reconx_ros.diffusion.config import SynthesisConfig, TrustConfig
from reconx_ros.diffusion.synthesis import Studio
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent
from reconx_ros.structure.config import PlanConfig
from reconx_ros.structure.plan import plan_trajectory
from reconx_ros.structure.reference import Reference

from .tiny import config, scene


def keyframe(number: int, view: Reference) -> Keyframe:
    return Keyframe(f"{number:06d}", 100_000_000 * number, view.image, view.camera, view.depth)


def tiny(folder: Path, cache: Path, clip: int | None = None) -> SynthesisConfig:
    wan = config(folder, cache, window=9, overlap=3)
    trusted = TrustConfig(keyframes=0)
    return SynthesisConfig(method="wan-vace", wan=wan, trust=trusted, plan=PlanConfig(clip=clip))


def test_clips_are_as_long_as_wan_films_them(folder: Path, cache: Path) -> None:
    references, cloud, _ = scene()
    keyframes = [keyframe(number, view) for number, view in enumerate(references)]
    studio = Studio(tiny(folder, cache), "cpu")
    path = plan_trajectory(keyframes, 16, cloud, studio.plan(references, Silent()))
    assert [len(clip) for clip in path.clips] == [8, 8]  # 16 frames are two clips of about 9
    assert len(studio.film(references, cloud, path, Silent()).frames) == len(path)


def test_a_configured_length_is_kept(folder: Path, cache: Path) -> None:
    references = scene()[0]
    asked = Studio(tiny(folder, cache, 4), "cpu")
    assert asked.plan(references, Silent()).clip == 4
    assert Studio(tiny(folder, cache), "cpu").plan(references, Silent()).clip == 9
    small = SynthesisConfig(method="small")
    assert Studio(small, "cpu").plan(references, Silent()) == small.plan


def test_auto_leaves_wan_out_on_the_cpu_and_says_so(folder: Path, cache: Path) -> None:
    references, cloud, path = scene()
    auto = SynthesisConfig(method="auto", wan=config(folder, cache))
    done = Studio(auto, "cpu").film(references, cloud, path, Silent())
    assert set(done.report["contest"]) == {"small", "push-pull"}
    assert "too slow on the CPU" in done.report["not_asked"]["wan-vace"]
    assert "wan-vace not asked: too slow on the CPU" in done.summary
    assert wan_may_film(auto, "cuda")
    assert not_asked(auto, "cuda") == {}
    assert not_asked(auto.model_copy(update={"wan": config(folder / "no", cache)}), "cpu") == {}
