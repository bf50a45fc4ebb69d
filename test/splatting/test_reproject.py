import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import GENERATED, GeometryEstimate, PointMap
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.reproject import between, reprojected_views

K = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])


def camera(x: float, turned: bool = False) -> Camera:
    pose = np.eye(4)
    if turned:
        pose[:3, :3] = np.diag([-1.0, 1, -1])
    pose[0, 3] = x
    return Camera(K, pose, 64, 48)


def view(x: float) -> tuple[Keyframe, PointMap]:
    """The plane z = 2 with smooth colours, seen from x."""
    here = camera(x)
    points = here.unproject(np.full((48, 64), 2, np.float32))
    waves = [np.sin(3 * points[..., 0]), np.cos(2 * points[..., 1]), np.sin(points[..., :2].sum(-1))]
    image = ((0.5 + 0.3 * np.stack(waves, -1)) * 255).round().astype(np.uint8)
    normals = np.broadcast_to(np.float32([0, 0, -1]), points.shape)
    return Keyframe(str(x), 0, image, here), PointMap(points, normals, np.full((48, 64), 50, np.float32))


def estimate(*places: float) -> GeometryEstimate:
    views = [view(x) for x in places]
    return GeometryEstimate(tuple(k for k, _ in views), tuple(p for _, p in views), metric=True)


def test_a_view_between_shows_what_a_camera_there_would_see() -> None:
    torch.manual_seed(0)
    pseudo = reprojected_views(estimate(0.0, 0.4), SplattingConfig(pseudo_views=1, pseudo_weight=0.5))
    assert len(pseudo) == 1
    made, truth = pseudo[0], view(0.2)[0]
    np.testing.assert_allclose(made.camera.centre, [0.2, 0, 0], atol=1e-9)
    shown = made.confidence > 0
    assert shown.mean() > 0.9
    assert np.abs(made.image - truth.image / 255)[shown].max() < 0.02
    np.testing.assert_allclose(made.depth[shown], 2, atol=1e-3)
    assert 0.3 < made.confidence.max() <= 0.5
    assert made.provenance == GENERATED


def test_each_view_is_joined_to_the_nearest_before_it() -> None:
    middles = [c.centre[0] for c in between([camera(0), camera(1), camera(0.1), camera(1.2)], 1)]
    np.testing.assert_allclose(middles, [0.5, 0.05, 1.1])
    facing_away = [c.centre[0] for c in between([camera(0.0, turned=True), camera(0.5), camera(0.2)], 1)]
    np.testing.assert_allclose(facing_away, [0.25, 0.35])


def test_nothing_to_reproject_gives_nothing() -> None:
    assert reprojected_views(estimate(0.0), SplattingConfig()) == []
    assert reprojected_views(estimate(0.0, 0.4), SplattingConfig(pseudo_views=0)) == []
    many = estimate(0.0, 0.1, 0.2)
    assert reprojected_views(many, SplattingConfig(pseudo_until=2)) == []
    assert len(reprojected_views(many, SplattingConfig(pseudo_until=3))) == 2
    blind = estimate(0.0, 0.4)
    for pointmap in blind.pointmaps:
        pointmap.points[:] = np.nan
    assert reprojected_views(blind, SplattingConfig()) == []
