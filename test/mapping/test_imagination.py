"""What a live map imagines is marked, makes room for what is measured, and is never in the way."""

from pathlib import Path

import numpy as np
import pytest

from reconx_ros.config import load_config
from reconx_ros.diffusion.seen import shown
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping import imagination
from reconx_ros.mapping.imagination import Imagination, Surroundings
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.prune import relative_depth
from reconx_ros.structure.reference import Reference

CONFIG = load_config(
    "fast",
    None,
    {
        "splatting": {"steps": 100, "guess_stride": 2},
        "synthesis": {
            "live_frames": 4,
            "live_seconds": 300,
            "small": {"width": 96},
            "trust": {"keyframes": 2},
        },
    },
)
SMALL = (64, 48)


@pytest.fixture(scope="module")
def frames(small_bag: Path) -> list[Keyframe]:
    with open_source(small_bag, SourceConfig()) as source:
        return list(source.frames())


@pytest.fixture
def mapper(frames: list[Keyframe]) -> IncrementalMapper:
    mapper = IncrementalMapper(CONFIG)
    mapper.add(frames[0])
    mapper.add(frames[1])
    return mapper


def test_filmed_frames_bring_marked_gaussians_and_are_refined(mapper: IncrementalMapper) -> None:
    before = mapper.snapshot()
    assert before is not None
    assert before.report["generated_frames"] == 0
    assert mapper.imagine() == 4
    after = mapper.snapshot()
    assert after is not None
    assert after.report["generated_frames"] == 4
    assert after.report["synthesizer"] in ("small", "push-pull")
    assert "contest" in after.report["synthesis"]
    new = after.gaussians.provenance[len(before.gaussians) :]
    assert (new == GENERATED).all()
    assert np.count_nonzero(after.gaussians.provenance == OBSERVED) == np.count_nonzero(
        before.gaussians.provenance == OBSERVED
    )
    assert (after.cloud.provenance == OBSERVED).all()
    report = mapper.refine(0.5)
    assert report is not None
    assert report.steps > 0


def test_a_keyframe_that_comes_later_replaces_what_was_imagined(
    mapper: IncrementalMapper, frames: list[Keyframe]
) -> None:
    mapper.imagine()
    late = frames[2]
    assert late.depth is not None
    mapper.add(late)
    result = mapper.snapshot()
    assert result is not None
    ratio = relative_depth(result.gaussians.means, late.camera, late.depth)
    imagined = result.gaussians.provenance == GENERATED
    assert np.count_nonzero(imagined & (ratio < 1.1)) == 0
    assert np.count_nonzero(~imagined & (ratio < 1.1)) > 500


def test_what_is_interrupted_leaves_the_map_as_it_was(mapper: IncrementalMapper) -> None:
    class Cancelled(Silent):
        def cancelled(self) -> bool:
            return True

    before = mapper.snapshot()
    assert mapper.imagine(Cancelled()) == 0
    after = mapper.snapshot()
    assert before is not None
    assert after is not None
    assert len(after.gaussians) == len(before.gaussians)
    assert after.report["synthesis"]["reason"] == "interrupted"
    assert mapper.imagine() == 4


def test_a_corrected_trajectory_forgets_the_frames_filmed_from_the_old_one(
    mapper: IncrementalMapper, frames: list[Keyframe]
) -> None:
    mapper.imagine()
    poses = {frame.name: frame.camera.world_from_camera.copy() for frame in (frames[0], frames[1])}
    for pose in poses.values():
        pose[0, 3] += 0.5
    assert mapper.correct(poses) > 0
    report = mapper.refine(0.3)
    assert report is not None
    assert report.views == 2


def test_filmed_pixels_that_a_later_keyframe_sees_teach_no_longer(mapper: IncrementalMapper) -> None:
    """One that is taken where a frame was filmed leaves nothing of it to learn."""
    mapper.imagine()
    taught = mapper.refine(0.1)
    assert taught is not None
    assert taught.views == 2 + 2
    filmed = mapper.imagined.frames[-1]
    size = (filmed.camera.height, filmed.camera.width)
    image = np.full((*size, 3), 128, np.uint8)
    mapper.add(Keyframe("there", 3 * 10**9, image, filmed.camera, np.full(size, 2.0, np.float32)))
    report = mapper.refine(0.1)
    assert report is not None
    assert report.views == 3 + 1


def test_frames_are_forgotten_where_there_is_nothing_left_to_film(mapper: IncrementalMapper) -> None:
    mapper.imagine()
    plan = CONFIG.synthesis.plan.model_copy(update={"least_unseen": 1.0, "most_unseen": 1.0})
    synthesis = CONFIG.synthesis.model_copy(update={"plan": plan})
    mapper.imagination = Imagination(CONFIG.model_copy(update={"synthesis": synthesis}))
    assert mapper.imagine() == 0
    report = mapper.refine(0.1)
    assert report is not None
    assert report.views == 2


def test_what_an_older_keyframe_shows_is_seen(
    frames: list[Keyframe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filmed from the newest of three keyframes: the other two have their say."""
    monkeypatch.setattr(imagination, "NEWEST", 1)
    synthesis = CONFIG.synthesis.model_copy(update={"method": "push-pull"})
    mapper = IncrementalMapper(CONFIG.model_copy(update={"synthesis": synthesis}))
    for frame in (frames[1], frames[2], frames[0]):
        mapper.add(frame)
    assert mapper.imagine() > 0
    older = [Reference.of_keyframe(frame) for frame in (frames[1], frames[2])]
    shares = []
    for filmed in mapper.imagined.frames:
        real = shown(older, filmed.camera)
        assert (filmed.seen | ~real).mean() > 0.999
        shares.append(real.mean())
    assert max(shares) > 0.1


def test_a_prior_is_measured_anew_in_each_submap(frames: list[Keyframe]) -> None:
    films = Imagination(CONFIG)
    room, estimate = RgbdGeometry(CONFIG.geometry.rgbd), frames[:3]
    cloud = fuse(room.estimate(estimate, Silent()), CONFIG.geometry.fusion)
    first, again, elsewhere = (
        films.film(estimate, room, Surroundings(cloud, place=place), Silent()) for place in (0, 0, 1)
    )
    assert "contest" in first.report
    assert first.report is again.report
    assert elsewhere.report is not first.report
    assert elsewhere.report == first.report


def test_none_films_nothing(frames: list[Keyframe]) -> None:
    synthesis = CONFIG.synthesis.model_copy(update={"method": "none"})
    mapper = IncrementalMapper(CONFIG.model_copy(update={"synthesis": synthesis}))
    assert mapper.imagine() == 0
    mapper.add(frames[0])
    assert mapper.imagine() == 0
