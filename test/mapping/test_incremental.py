"""The live map: keyframe by keyframe it comes to what the whole recording gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.config import load_config
from reconx_ros.errors import GeometryError
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.rasterize import render_view

CONFIG = load_config("fast", None, {"splatting": {"steps": 100}})


@pytest.fixture(scope="module")
def frames(small_bag: Path) -> list[Keyframe]:
    with open_source(small_bag, SourceConfig()) as source:
        return list(source.frames())


def picture_quality(mapper: IncrementalMapper) -> float:
    """Mean PSNR of the map at its own keyframes."""
    result = mapper.snapshot()
    assert result is not None
    scores = []
    for view in result.keyframes:
        image, _, alpha = render_view(result.gaussians, view.camera)
        picture = result.appearance.develop(image, alpha, view.camera)
        scores.append(psnr(picture, view.image.astype(np.float32) / 255))
    return float(np.mean(scores))


def test_the_map_grows_and_gets_better(frames: list[Keyframe]) -> None:
    mapper = IncrementalMapper(CONFIG)
    assert mapper.snapshot() is None
    assert mapper.refine(0.1) is None
    counts = []
    for frame in frames[:3]:
        assert mapper.add(frame).known.mean() > 0.5
        result = mapper.snapshot()
        assert result is not None
        counts.append(len(result.cloud))
    assert counts[0] < counts[1] < counts[2]
    assert result.report["geometry"] == "rgbd"
    assert result.report["geometry_reason"] == "1 of 1 keyframes have depth and a pose"
    before = picture_quality(mapper)
    report = mapper.refine(6.0)
    assert report is not None
    assert report.steps > 0
    assert picture_quality(mapper) > before + 1


def test_a_view_seen_twice_adds_hardly_any_gaussians(frames: list[Keyframe]) -> None:
    mapper = IncrementalMapper(CONFIG)
    mapper.add(frames[0])
    first = mapper.snapshot()
    mapper.add(replace(frames[0], name="again"))
    second = mapper.snapshot()
    assert first is not None
    assert second is not None
    assert len(second.gaussians) < 1.01 * len(first.gaussians)


def test_a_bad_keyframe_leaves_the_map_as_it_was(frames: list[Keyframe]) -> None:
    mapper = IncrementalMapper(CONFIG)
    mapper.add(frames[0])
    before = mapper.snapshot()
    bent = frames[1].camera.moved(np.diag([2.0, 1.0, 1.0, 1.0]))
    with pytest.raises(GeometryError):
        mapper.add(replace(frames[1], camera=bent))
    after = mapper.snapshot()
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after.cloud.points, before.cloud.points)
    assert [k.name for k in after.keyframes] == [frames[0].name]


def test_a_loaded_map_goes_on_growing(frames: list[Keyframe]) -> None:
    mapper = IncrementalMapper(CONFIG)
    mapper.add(frames[0])
    saved = mapper.snapshot()
    assert saved is not None
    other = IncrementalMapper(CONFIG)
    other.load(saved)
    loaded = other.snapshot()
    assert loaded is not None
    np.testing.assert_allclose(loaded.gaussians.means, saved.gaussians.means, atol=1e-6)
    other.add(frames[2])
    grown = other.snapshot()
    assert grown is not None
    assert len(grown.cloud) > len(saved.cloud)
    other.reset()
    assert other.snapshot() is None


def test_without_depth_the_first_keyframe_waits_for_the_second(frames: list[Keyframe]) -> None:
    mapper = IncrementalMapper(CONFIG)
    posed = [replace(frame, depth=None) for frame in frames[:2]]
    assert not mapper.add(posed[0]).known.any()
    assert mapper.snapshot() is None
    assert mapper.refine(0.1) is None
    second = mapper.add(posed[1])
    result = mapper.snapshot()
    assert result is not None
    assert [keyframe.name for keyframe in result.keyframes] == [frame.name for frame in posed]
    assert second.known.any()
    assert result.cloud.views.max() == 2  # points of the first view are in, and agree
