"""Dense clouds of Gaussians: on the surface, evenly, with what is known of each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import GENERATED, OBSERVED, map_confidence
from reconx_ros.mapping.densify import densified
from reconx_ros.mapping.ply import read_cloud, save_cloud
from reconx_ros.splatting.gaussians import GaussianMap

TILT = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)


def wall(side: int = 20, step: float = 0.05) -> GaussianMap:
    """A tilted square of flat Gaussians, 5 cm apart and 3 cm wide, 0.3 mm thin; the long axis is y."""
    u, v = np.meshgrid(np.arange(side), np.arange(side))
    flat = np.stack([u.ravel(), v.ravel(), np.zeros(side**2)], axis=1) * step
    count = len(flat)
    x, y, z, w = TILT.as_quat()
    return GaussianMap(
        means=TILT.apply(flat).astype(np.float32),
        log_scales=np.tile(np.log([0.03, 0.035, 0.0003]).astype(np.float32), (count, 1)),
        quaternions_wxyz=np.tile(np.array([w, x, y, z], np.float32), (count, 1)),
        opacity_logits=np.full(count, 3, np.float32),
        sh=np.full((count, 1, 3), 0.5, np.float32),
        confidence=np.linspace(0.6, 0.95, count).astype(np.float32),
        provenance=np.full(count, OBSERVED, np.uint8),
    )


def test_points_cover_the_surface_at_the_spacing_and_lie_on_it() -> None:
    gaussians, spacing = wall(), 0.01
    cloud = densified(gaussians, spacing)
    flat = TILT.inv().apply(cloud.points)
    assert np.abs(flat[:, 2]).max() < 1e-5
    assert np.abs(np.abs(cloud.normals @ TILT.apply([0, 0, 1])) - 1).max() < 1e-5
    # Every place of the square has a point near it, and no cube has two.
    inner = flat[(flat[:, :2] > 0).all(axis=1) & (flat[:, :2] < 0.95).all(axis=1)]
    cells = np.unique(np.floor(inner[:, :2] / (2 * spacing)), axis=0)
    assert len(cells) > 0.99 * 47**2
    cubes = np.floor(cloud.points.astype(np.float64) / spacing)
    assert len(np.unique(cubes, axis=0)) > 0.995 * len(cloud)
    assert len(cloud) > 10 * len(gaussians)
    assert (cloud.colors == round(255 * (0.5 + 0.5 * 0.28209479))).all()


def test_each_point_has_the_confidence_and_the_origin_of_its_gaussian() -> None:
    gaussians = wall(4, step=1.0)
    gaussians.provenance[3], gaussians.confidence[5], gaussians.opacity_logits[7] = GENERATED, 0.2, -2
    cloud = densified(gaussians, 0.01, min_confidence=0.5)
    owner = np.linalg.norm(cloud.points[:, None] - gaussians.means, axis=2).argmin(axis=1)
    assert set(owner.tolist()) == set(range(16)) - {3, 5, 7}
    assert np.allclose(map_confidence(cloud.confidence), gaussians.confidence[owner], atol=1e-5)
    assert (cloud.provenance == OBSERVED).all()
    every = densified(gaussians, 0.01, min_confidence=0.0, generated=True)
    owner = np.linalg.norm(every.points[:, None] - gaussians.means, axis=2).argmin(axis=1)
    assert set(owner.tolist()) == set(range(16)) - {7}
    assert (every.provenance == gaussians.provenance[owner]).all()


def test_where_two_show_the_same_the_observed_and_the_surer_stays() -> None:
    gaussians = wall(4)
    surer = replace(gaussians, confidence=np.full(16, 0.99, np.float32))
    filmed = replace(surer, provenance=np.full(16, GENERATED, np.uint8))
    both = GaussianMap.concatenate(GaussianMap.concatenate(gaussians, filmed), surer)
    cloud = densified(both, 0.01, generated=True)
    assert (cloud.provenance == OBSERVED).all()
    assert np.allclose(map_confidence(cloud.confidence), 0.99, atol=1e-5)


def test_a_gaussian_without_orientation_is_left_out() -> None:
    gaussians = wall()
    gaussians.quaternions_wxyz[:200] = 0
    rest = gaussians.select(np.arange(200, 400))
    np.testing.assert_array_equal(densified(gaussians, 0.02).points, densified(rest, 0.02).points)


def test_the_error_about_too_fine_a_spacing_names_one_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconx_ros.mapping.densify.MOST_SAMPLES", 20_000)
    with pytest.raises(MapError, match=r"give .* or more") as raised:
        densified(wall(), 0.002)
    assert len(densified(wall(), float(str(raised.value).split("give ")[1].split(" ")[0]))) > 5000


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = densified(wall(), 0.01)
    monkeypatch.setattr("reconx_ros.mapping.densify.CHUNK", 1000)
    parts = densified(wall(), 0.01)
    np.testing.assert_array_equal(whole.points, parts.points)


def test_nothing_to_sample_and_senseless_spacings() -> None:
    assert len(densified(wall(), 0.01, min_confidence=1.0)) == 0
    for spacing, message in ((0.0, "must be above 0"), (float("nan"), "above 0"), (1e-8, "too fine")):
        with pytest.raises(MapError, match=message):
            densified(wall(), spacing)


def test_the_file_holds_all_of_it(tmp_path: Path) -> None:
    cloud = densified(wall(), 0.01)
    save_cloud(tmp_path / "densified.ply", cloud)
    again = read_cloud(tmp_path / "densified.ply")
    np.testing.assert_array_equal(again.points, cloud.points)
    assert np.allclose(map_confidence(again.confidence), map_confidence(cloud.confidence), atol=1e-5)
    with pytest.raises(MapError, match="cannot be written"):
        save_cloud(tmp_path / "nowhere" / "densified.ply", cloud)
