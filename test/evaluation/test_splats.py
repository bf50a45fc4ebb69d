from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.evaluation.splats import Splats, draw_splats, splats_from_cloud, splats_from_keyframes
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe

BLACK = np.zeros(3, np.float32)
GREY = np.full(3, 0.5, np.float32)


def test_a_textured_wall_is_redrawn_from_its_own_view(plane_view: Callable[..., Keyframe]) -> None:
    view = plane_view()
    image, mask = draw_splats(splats_from_keyframes([view]), view.camera, BLACK)
    assert mask.all()
    assert psnr(image, view.image / np.float32(255)) > 40


def test_the_surface_closes_from_nearer_and_aside(plane_view: Callable[..., Keyframe]) -> None:
    truth = plane_view(x=0.2, y=-0.1, z=0.9)
    image, mask = draw_splats(splats_from_keyframes([plane_view()]), truth.camera, BLACK)
    assert mask.all()
    assert psnr(image, truth.image / np.float32(255)) > 35


def test_what_no_input_saw_shows_the_background(plane_view: Callable[..., Keyframe]) -> None:
    splats = splats_from_keyframes([plane_view()])
    image, mask = draw_splats(splats, plane_view(x=-0.5).camera, GREY)
    assert not mask[:, :19].any()  # 0.5 m at 2 m and f = 80 are 20 columns
    assert mask[:, 21:].all()
    assert (image[~mask] == 0.5).all()


def test_the_nearest_surface_wins_in_any_order(camera_at: Callable[..., Camera]) -> None:
    points = np.array([[0, 0, 1.0], [0, 0, 3.0]], np.float32)
    colors = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    spacing = np.full(2, 0.2, np.float32)
    for order in ([0, 1], [1, 0]):
        image, mask = draw_splats(Splats(points[order], colors[order], spacing), camera_at(), BLACK)
        assert mask[36, 48]
        assert np.allclose(image[mask], [1, 0, 0])


def test_a_splat_covers_the_disc_of_its_spacing(camera_at: Callable[..., Camera]) -> None:
    splats = Splats(
        np.array([[0, 0, 2.0]], np.float32), np.ones((1, 3), np.float32), np.array([0.2], np.float32)
    )
    _, mask = draw_splats(splats, camera_at(), BLACK)
    radius = 80 * 0.2 / 2 / np.sqrt(2)
    rows, columns = np.mgrid[0:72, 0:96]
    assert (mask == (np.hypot(rows - 35.5, columns - 47.5) <= radius)).all()


def test_points_behind_the_camera_are_not_drawn(camera_at: Callable[..., Camera]) -> None:
    splats = Splats(
        np.array([[0, 0, -2.0]], np.float32), np.ones((1, 3), np.float32), np.ones(1, np.float32)
    )
    assert not draw_splats(splats, camera_at(), BLACK)[1].any()


def test_views_without_depth_give_no_splats(plane_view: Callable[..., Keyframe]) -> None:
    splats = splats_from_keyframes([replace(plane_view(), depth=None)])
    assert len(splats.points) == 0
    assert not draw_splats(splats, plane_view().camera, BLACK)[1].any()


def test_a_cloud_is_spaced_as_its_neighbours() -> None:
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20), [2.0]), axis=-1).reshape(-1, 3) * 0.1
    count = len(grid)
    cloud = PointCloud(
        points=grid.astype(np.float32),
        colors=np.full((count, 3), 255, np.uint8),
        normals=np.tile(np.array([0, 0, -1], np.float32), (count, 1)),
        confidence=np.ones(count, np.float32),
        provenance=np.zeros(count, np.uint8),
        views=np.ones(count, np.int32),
    )
    splats = splats_from_cloud(cloud)
    assert np.median(splats.spacing) == pytest.approx(0.1, rel=1e-5)
    assert (splats.colors == 1).all()
