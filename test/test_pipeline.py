"""The whole chain on a simulated recording: keyframes in, a map that predicts other frames out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.config import load_config
from reconx_ros.errors import GeometryError
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.rasterize import render_view
from test.geometry.stereo.conftest import Room, look_from

CONFIG = load_config("fast", None, {"splatting": {"steps": 60}})


class Cancelled:
    """Progress that is cancelled once optimisation has begun."""

    def __init__(self) -> None:
        self.begun = False

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.begun = self.begun or stage == "splatting"

    def cancelled(self) -> bool:
        return self.begun


@pytest.fixture(scope="module")
def frames(small_bag: Path) -> list[Keyframe]:
    with open_source(small_bag, SourceConfig()) as source:
        return list(source.frames())


def test_the_map_shows_the_views_it_was_made_of(frames: list[Keyframe]) -> None:
    result = reconstruct_keyframes(frames[:4], CONFIG)
    assert result.metric
    assert not result.report["cancelled"]
    assert set(result.report["seconds"]) == {"geometry", "structure", "synthesis", "splatting"}
    assert result.report["geometry"] == "rgbd"
    assert result.report["geometry_reason"] == "4 of 4 keyframes have depth and a pose"
    contest = result.report["synthesis"]["contest"]
    assert all(np.isfinite(row[name]) for row in contest.values() for name in ("over_none_db", "mixed_db"))
    assert 0 < len(result.gaussians) <= CONFIG.splatting.beside_generated().max_gaussians
    for view in result.keyframes:
        image, depth, alpha = render_view(result.gaussians, view.camera)
        picture = result.appearance.develop(image, alpha, view.camera)
        assert psnr(picture, view.image.astype(np.float32) / 255) > 24
        assert view.depth is not None
        both = np.isfinite(depth) & np.isfinite(view.depth)
        assert both.mean() > 0.9
        assert np.median(np.abs(depth - view.depth)[both] / view.depth[both]) < 0.01


def test_cameras_fitted_along_with_the_map_are_those_it_is_given_with(frames: list[Keyframe]) -> None:
    """What was optimised with them is seen right from them, not from where they were said to be."""
    rough = [
        replace(frame, camera=frame.camera.moved(frame.camera.world_from_camera @ shift(0.02 * side)))
        for frame, side in zip(frames[:4], (1, -1, 1, -1), strict=True)
    ]
    fit = {"refine": {"poses": True, "translation_sigma": 0.02}, "steps": 150, "rasterizer": "cpu"}
    config = load_config("fast", None, {"splatting": fit, "synthesis": {"method": "none"}})
    result = reconstruct_keyframes(rough, config)
    gains = []
    for given, view in zip(rough, result.keyframes, strict=True):
        assert not np.allclose(given.camera.world_from_camera, view.camera.world_from_camera, atol=1e-4)
        truth = view.image.astype(np.float32) / 255
        there, before = (
            psnr(result.appearance.develop(image, alpha, camera), truth)
            for camera in (view.camera, given.camera)
            for image, _, alpha in [render_view(result.gaussians, camera)]
        )
        gains.append(there - before)
    assert np.mean(gains) > 0.5


def shift(metres: float) -> np.ndarray:
    """A step to the right."""
    motion = np.eye(4)
    motion[0, 3] = metres
    return motion


def test_cancelling_leaves_a_valid_map(frames: list[Keyframe]) -> None:
    result = reconstruct_keyframes(frames[:3], CONFIG, Cancelled())
    assert result.report["cancelled"]
    assert result.report["optimisation"]["stopped"] == "cancelled"
    assert np.isfinite(result.gaussians.means).all()


def test_going_on_from_a_map_keeps_it(frames: list[Keyframe]) -> None:
    """No steps from given Gaussians: they come out as they went in."""
    first = reconstruct_keyframes(frames[:2], CONFIG)
    still = load_config("fast", None, {"splatting": {"steps": 0}, "synthesis": {"method": "none"}})
    again = reconstruct_keyframes(frames[:2], still, start=first)
    np.testing.assert_allclose(again.gaussians.means, first.gaussians.means, atol=1e-6)
    np.testing.assert_allclose(again.gaussians.sh, first.gaussians.sh, atol=1e-6)
    np.testing.assert_allclose(again.gaussians.confidence, first.gaussians.confidence, atol=1e-3)


def test_no_keyframes_is_one_line(frames: list[Keyframe]) -> None:
    with pytest.raises(GeometryError, match="keyframes"):
        reconstruct_keyframes([], CONFIG)


def test_a_view_that_fits_no_other_is_left_out_and_said() -> None:
    room, places = Room(0.5), ((0, 0, 0), (0.4, 0, 0), (0.1, 0.35, 0), (-0.3, 0.1, 0))
    views = [room.view(look_from(at, 160, 120, 0.05 * i), str(i)) for i, at in enumerate(places)]
    views = [replace(view, depth=None) for view in views]
    pose = views[1].camera.world_from_camera @ np.diag([-1.0, -1.0, 1.0, 1.0])
    views[1] = replace(views[1], camera=views[1].camera.moved(pose))
    config = load_config("fast", None, {"splatting": {"steps": 20}, "synthesis": {"method": "none"}})
    result = reconstruct_keyframes(views, config)
    assert result.report["geometry"] == "plane-sweep"
    assert [view.name for view in result.keyframes] == ["0", "2", "3"]
    assert [line for line in result.report["warnings"] if line.startswith("1 is left out")]
    without = reconstruct_keyframes(views[:1] + views[2:], config)  # without it nothing is said
    assert not without.report["warnings"]
