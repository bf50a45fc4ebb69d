from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.evaluation.baselines import PointsBaseline, TsdfBaseline, mean_colour
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.evaluation.tsdf import METRIC_VOXEL, ColouredMesh, draw_mesh, tsdf_mesh, voxel_size
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

GREY = np.full(3, 0.5, np.float32)


def test_a_triangle_is_drawn_with_barycentric_colours(plane_view: Callable[..., Keyframe]) -> None:
    vertices = np.array([[-1, -1, 2], [3, -1, 2], [-1, 3, 2]], np.float32)
    mesh = ColouredMesh(vertices, np.array([[0, 1, 2]], np.int32), np.eye(3, dtype=np.float32))
    image, hit = draw_mesh(mesh, plane_view().camera, GREY)
    points = plane_view().camera.unproject(np.full((72, 96), 2, np.float32))
    weights = np.stack(
        [1 - (points[..., 0] + points[..., 1] + 2) / 4, (points[..., 0] + 1) / 4, (points[..., 1] + 1) / 4],
        -1,
    )
    inside = (weights > 1e-4).all(axis=-1)
    assert (hit[inside]).all()
    assert not hit[(weights < -1e-4).any(axis=-1)].any()
    assert np.abs(image[inside] - weights[inside]).max() < 1e-4
    assert (image[~hit] == 0.5).all()


def test_a_textured_wall_comes_back_from_a_new_view(plane_view: Callable[..., Keyframe]) -> None:
    mesh = tsdf_mesh([plane_view(), plane_view(x=0.3), plane_view(y=0.2)], 0.02)
    assert np.abs(mesh.vertices[:, 2] - 2).max() < 0.01
    truth = plane_view(x=0.15, y=0.1, z=0.3)
    image, hit = draw_mesh(mesh, truth.camera, GREY)
    inside = (slice(4, -4), slice(4, -4))
    assert hit[inside].mean() > 0.95
    assert psnr(image, truth.image / np.float32(255), hit) > 32


def test_views_without_a_surface_give_an_empty_mesh(plane_view: Callable[..., Keyframe]) -> None:
    mesh = tsdf_mesh([replace(plane_view(), depth=None)], 0.02)
    assert len(mesh.triangles) == 0
    image, hit = draw_mesh(mesh, plane_view().camera, GREY)
    assert not hit.any()
    assert (image == 0.5).all()


def test_the_voxel_follows_the_scale_of_the_world(plane_view: Callable[..., Keyframe]) -> None:
    view = plane_view()
    assert voxel_size([view], metric=True) == METRIC_VOXEL
    camera = view.camera.moved(np.eye(4))
    tenfold = replace(view, camera=camera, depth=view.depth * 10)
    assert voxel_size([tenfold], metric=False) == pytest.approx(
        10 * voxel_size([view], metric=False), rel=1e-5
    )
    width, height = 95 / 80 * 2, 71 / 80 * 2
    assert voxel_size([view], metric=False) == pytest.approx(np.hypot(width, height) / 500, rel=1e-5)


def test_the_background_is_the_mean_of_the_inputs(plane_view: Callable[..., Keyframe]) -> None:
    black, white = (replace(plane_view(), image=np.full((72, 96, 3), v, np.uint8)) for v in (0, 255))
    assert np.allclose(mean_colour([black, white]), 0.5)


def test_both_baselines_redraw_a_real_frame(redkitchen_bag: Path) -> None:
    with open_source(redkitchen_bag, SourceConfig()) as source:
        view = next(iter(source.frames()))
    truth, known = view.image / np.float32(255), np.isfinite(view.depth)
    empty = PointCloud(*(np.zeros(0, np.float32) for _ in range(6)))
    points, points_mask = PointsBaseline([view], empty).render(view.camera)
    mesh, mesh_mask = TsdfBaseline([view], metric=True).render(view.camera)
    assert points_mask[known].all()
    assert mesh_mask[known].mean() > 0.8
    assert psnr(points, truth, known) > 25
    assert psnr(mesh, truth, known & mesh_mask) > 20
