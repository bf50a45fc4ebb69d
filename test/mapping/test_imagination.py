"""What a live map imagines is marked, makes room for what is measured, and is never in the way."""

from pathlib import Path

import numpy as np
import pytest

from reconx_ros.config import load_config
from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.prune import relative_depth

CONFIG = load_config(
    "fast",
    None,
    {
        "splatting": {"steps": 100, "guess_stride": 2},
        "synthesis": {"live_frames": 4, "small": {"width": 96}, "trust": {"keyframes": 2}},
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


def test_none_films_nothing(frames: list[Keyframe]) -> None:
    synthesis = CONFIG.synthesis.model_copy(update={"method": "none"})
    mapper = IncrementalMapper(CONFIG.model_copy(update={"synthesis": synthesis}))
    assert mapper.imagine() == 0
    mapper.add(frames[0])
    assert mapper.imagine() == 0
