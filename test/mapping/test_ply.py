"""Gaussians and clouds survive the disk; damaged files are refused, never half loaded."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.mapping.ply import read_cloud, read_gaussians, read_map, write_cloud, write_gaussians
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap

same_file = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def some_gaussians(count: int, degree: int, seed: int = 0) -> GaussianMap:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return GaussianMap(
        means=draw(count, 3),
        log_scales=draw(count, 3),
        quaternions_wxyz=draw(count, 4),
        opacity_logits=draw(count),
        sh=draw(count, (degree + 1) ** 2, 3),
        confidence=rng.random(count).astype(np.float32),
        provenance=rng.integers(0, 2, count).astype(np.uint8),
    )


def some_cloud(count: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(
        points=rng.normal(size=(count, 3)).astype(np.float32),
        colors=rng.integers(0, 256, (count, 3)).astype(np.uint8),
        normals=rng.normal(size=(count, 3)).astype(np.float32),
        confidence=(1 + 20 * rng.random(count)).astype(np.float32),
        provenance=rng.integers(0, 2, count).astype(np.uint8),
        views=rng.integers(1, 9, count).astype(np.int32),
    )


@same_file
@given(count=st.integers(0, 40), degree=st.integers(0, 3), seed=st.integers(0, 99))
def test_gaussians_come_back_bit_for_bit(tmp_path: Path, count: int, degree: int, seed: int) -> None:
    written = some_gaussians(count, degree, seed)
    write_gaussians(tmp_path / "map.ply", written)
    read = read_gaussians(tmp_path / "map.ply")
    for name in GaussianMap.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name), err_msg=name)


def test_what_the_confidence_comes_of_comes_back_where_it_was_written(tmp_path: Path) -> None:
    written, rng = some_gaussians(30, 1), np.random.default_rng(1)
    point, settled = (rng.random(30).astype(np.float32) for _ in range(2))
    write_gaussians(tmp_path / "map.ply", written, Evidence(point, settled, np.zeros(30, np.float32)))
    read, evidence = read_map(tmp_path / "map.ply")
    assert evidence is not None
    np.testing.assert_array_equal(evidence.point, point)
    np.testing.assert_array_equal(evidence.settled, settled)
    np.testing.assert_array_equal(read.confidence, written.confidence)
    write_gaussians(tmp_path / "old.ply", written)
    assert read_map(tmp_path / "old.ply")[1] is None


def test_layout_is_what_other_viewers_read(tmp_path: Path) -> None:
    """The property order of the original 3DGS release, f_rest channel-major."""
    written = some_gaussians(5, 1)
    write_gaussians(tmp_path / "map.ply", written)
    vertex = PlyData.read(str(tmp_path / "map.ply"))["vertex"]
    expected = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    expected += [f"f_rest_{i}" for i in range(9)] + ["opacity", "scale_0", "scale_1", "scale_2"]
    expected += ["rot_0", "rot_1", "rot_2", "rot_3", "confidence", "provenance"]
    assert [p.name for p in vertex.properties] == expected
    # f_rest_4 is channel 1 (green), second of its three coefficients: sh[:, 2, 1]
    np.testing.assert_array_equal(vertex["f_rest_4"], written.sh[:, 2, 1])
    np.testing.assert_array_equal(vertex["rot_0"], written.quaternions_wxyz[:, 0])


def test_a_map_of_another_program_loads_as_observed(tmp_path: Path) -> None:
    write_gaussians(tmp_path / "map.ply", some_gaussians(4, 0))
    table = PlyData.read(str(tmp_path / "map.ply"), mmap=False)["vertex"].data
    names = [n for n in table.dtype.names if n not in ("confidence", "provenance")]
    foreign = np.empty(len(table), dtype=[(n, "f4") for n in names])
    for name in names:
        foreign[name] = table[name]
    PlyData([PlyElement.describe(foreign, "vertex")]).write(str(tmp_path / "foreign.ply"))
    read = read_gaussians(tmp_path / "foreign.ply")
    assert (read.confidence == 1).all()
    assert (read.provenance == 0).all()


def test_cloud_comes_back(tmp_path: Path) -> None:
    written = some_cloud(50)
    write_cloud(tmp_path / "cloud.ply", written)
    read = read_cloud(tmp_path / "cloud.ply")
    for name in ("points", "colors", "normals", "provenance", "views"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name), err_msg=name)
    np.testing.assert_allclose(read.confidence, written.confidence, rtol=1e-4)


@same_file
@given(cut=st.integers(0, 3000), flip=st.integers(0, 3000), value=st.integers(0, 255))
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, cut: int, flip: int, value: int) -> None:
    """Whatever bytes are cut or changed: a whole map or a MapError, never anything else."""
    write_gaussians(tmp_path / "map.ply", some_gaussians(20, 0))
    data = bytearray((tmp_path / "map.ply").read_bytes())
    data[flip % len(data)] = value
    (tmp_path / "bad.ply").write_bytes(data[: len(data) - cut % len(data)])
    try:
        read = read_gaussians(tmp_path / "bad.ply")
    except MapError as err:
        assert "\n" not in str(err)
        assert "bad.ply" in str(err)
    else:
        assert np.isfinite(read.means).all()


def test_not_finite_values_name_the_row(tmp_path: Path) -> None:
    gaussians = some_gaussians(6, 0)
    gaussians.log_scales[3, 1] = np.nan
    write_gaussians(tmp_path / "map.ply", gaussians)
    with pytest.raises(MapError, match=r"scale_0/scale_1/scale_2 of row 3 is not finite"):
        read_gaussians(tmp_path / "map.ply")
