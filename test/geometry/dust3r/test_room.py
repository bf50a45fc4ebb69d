"""The whole room: a network that knows the truth, and a real one with random weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from reconx_ros.errors import GeometryError, MissingDependencyError
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.geometry.config import FusionConfig, GeometryConfig
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.dust3r.load import load_predictor
from reconx_ros.geometry.dust3r.model import Dust3r
from reconx_ros.geometry.dust3r.room import Dust3rGeometry
from reconx_ros.geometry.fusion import fuse
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent

from .oracle import Oracle


def room_of(metric: bool = True, **alignment: object) -> Dust3rGeometry:
    return Dust3rGeometry(Dust3rConfig(), AlignmentConfig(**{"samples": 250, **alignment}), metric)


def unposed(view: Keyframe, factor: float = 1.0) -> Keyframe:
    """A view as a photo: no pose, and a focal length ``factor`` times the true one, guessed."""
    intrinsics = view.camera.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] *= factor
    camera = replace(view.camera, intrinsics=intrinsics, world_from_camera=np.eye(4))
    return replace(view, posed=False, camera=camera, intrinsics="guessed")


def relative_errors(points: NDArray[np.float32], view: Keyframe) -> NDArray[np.float64]:
    assert view.depth is not None
    truth = view.camera.unproject(view.depth)
    return np.linalg.norm(points - truth, axis=2) / view.depth


def test_colour_and_poses_give_the_surfaces_in_metres(oracle: Oracle, views: list[Keyframe]) -> None:
    estimate = room_of().estimate(views, Silent())
    assert estimate.metric
    assert len(estimate.keyframes) == len(estimate.pointmaps) == 6
    for keyframe, pointmap, view in zip(estimate.keyframes, estimate.pointmaps, views, strict=True):
        assert keyframe.depth is None
        error = relative_errors(pointmap.points, view)
        assert pointmap.known.mean() > 0.6
        assert np.nanmedian(error) < 0.006
        assert np.nanpercentile(error, 90) < 0.05
        assert np.linalg.norm(keyframe.camera.centre - view.camera.centre) < 0.01
        assert keyframe.pose_covariance is not None
        assert (pointmap.confidence >= 1).all()
    cloud = fuse(estimate, FusionConfig(voxel_size=0.05))
    assert len(cloud) > 3000
    assert set(oracle.asked) == {(j, i) for i, j in oracle.asked}


@pytest.mark.parametrize("guess", [1.0, 1.3, 0.75])
def test_photos_without_poses_give_the_shape(oracle: Oracle, views: list[Keyframe], guess: float) -> None:
    photos = [unposed(view, guess) for view in views]
    estimate = room_of().estimate(photos, Silent())
    assert not estimate.metric
    assert all(keyframe.posed for keyframe in estimate.keyframes)
    centres = np.stack([k.camera.centre for k in estimate.keyframes])
    truth = np.stack([k.camera.centre for k in views])
    steps, true_steps = (np.linalg.norm(np.diff(c, axis=0), axis=1) for c in (centres, truth))
    assert np.allclose(steps / steps[0], true_steps / true_steps[0], rtol=0.03)
    for keyframe, pointmap, view in zip(estimate.keyframes, estimate.pointmaps, views, strict=True):
        focal, true_focal = (k.camera.intrinsics[0, 0] for k in (keyframe, view))
        assert focal == pytest.approx(true_focal, rel=0.01)
        assert pointmap.known.mean() > 0.6
        assert np.median(pointmap.confidence[pointmap.known]) > 3.5


def test_the_world_of_photos_without_poses_is_upright(oracle: Oracle, views: list[Keyframe]) -> None:
    estimate = room_of().estimate([unposed(view) for view in views], Silent())
    first, truth = estimate.keyframes[0].camera, views[0].camera
    assert np.allclose(first.centre, 0)
    up = np.mean([k.camera.world_from_camera[:3, 1] for k in estimate.keyframes], axis=0)
    assert np.allclose(up / np.linalg.norm(up), [0, 0, -1], atol=1e-6)
    turn = first.world_from_camera[:3, :3] @ truth.world_from_camera[:3, :3].T
    own = -np.sum([view.camera.world_from_camera[:3, 1] for view in views], axis=0)
    assert np.allclose(turn @ own / np.linalg.norm(own), [0, 0, 1], atol=0.01)


def test_a_live_map_asks_for_the_new_view_and_the_old_stay(oracle: Oracle, views: list[Keyframe]) -> None:
    moved = views[5].camera.world_from_camera.copy()
    moved[:3, 3] += [0.03, -0.02, 0.01]
    live = [*views[:5], replace(views[5], camera=views[5].camera.moved(moved))]
    estimate = room_of(position_deviation=0.05).estimate(live, Silent(), only=[5])
    assert len(estimate.keyframes) == 1
    assert all(5 in pair for pair in oracle.asked)
    assert np.linalg.norm(estimate.keyframes[0].camera.centre - views[5].camera.centre) < 0.01
    assert np.nanmedian(relative_errors(estimate.pointmaps[0].points, views[5])) < 0.01


def test_the_first_view_of_a_live_map_is_unknown_and_alone_an_error(
    oracle: Oracle, views: list[Keyframe]
) -> None:
    estimate = room_of().estimate(views[:1], Silent(), only=[0])
    assert not estimate.pointmaps[0].known.any()
    with pytest.raises(GeometryError, match="at least two views that belong together, not 1"):
        room_of().estimate(views[:1], Silent())


def test_two_identical_views_are_an_error_not_a_map(oracle: Oracle, views: list[Keyframe]) -> None:
    twice = [views[0], replace(views[0], name="again")]
    with pytest.raises(GeometryError, match="scale of the map cannot be told"):
        room_of().estimate(twice, Silent())


class Stop:
    """Asks to stop after some updates."""

    def __init__(self, after: int) -> None:
        self.left, self.notes = after, list[str]()

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.left -= 1
        self.notes.append(f"{stage} {done}/{total} {note}")

    def cancelled(self) -> bool:
        return self.left <= 0


def test_cancelling_gives_no_view(oracle: Oracle, views: list[Keyframe]) -> None:
    stop = Stop(3)
    estimate = room_of().estimate(views, stop)
    assert estimate.keyframes == ()
    assert len(oracle.asked) == 3
    assert stop.notes[0].startswith("pairs 1/")
    assert stop.notes[0].endswith(" nowhere")


def test_random_weights_run_end_to_end_and_make_no_map(
    tiny: Callable[..., Dust3r], views: list[Keyframe], tmp_path: Path
) -> None:
    state = {key: value.clone() for key, value in tiny("dpt").state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    config = GeometryConfig(
        method="dust3r",
        dust3r=Dust3rConfig(weights=str(tmp_path), resolution=64, device="cpu"),
        alignment=AlignmentConfig(samples=100, max_iterations=5),
    )
    room = choose_geometry(config, views)
    assert room.name == "dust3r"
    with pytest.raises(GeometryError, match="to DUSt3R at most 0 of 3 show the same place"):
        room.estimate([unposed(view) for view in views[:3]], Silent())


def test_what_is_missing_is_said() -> None:
    load_predictor.cache_clear()
    cases: list[tuple[dict[str, object], type[Exception], str]] = [
        ({}, GeometryError, r"needs geometry\.dust3r\.weights: give a DUSt3R checkpoint"),
        ({"weights": "/nowhere.pth"}, GeometryError, "'/nowhere.pth' does not exist"),
        ({"weights": "x", "implementation": "package"}, MissingDependencyError, "needs the dust3r package"),
    ]
    if not torch.cuda.is_available():
        cases.append(({"weights": "x", "device": "cuda"}, GeometryError, "torch finds no CUDA device"))
    for values, error, message in cases:
        with pytest.raises(error, match=message):
            load_predictor(Dust3rConfig(**values))
